const tasksOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Runs `task` when the key that has this signal is closed; the result takes it back. One listener for all tasks of a key:
 * Node warns of a leak at eleven, and a service may have more signers.
 */
export function onKeyClosed(closed: AbortSignal | undefined, task: () => void): () => void {
  if (!closed) return () => undefined;
  const tasks = tasksOf.get(closed) ?? listen(closed);
  tasks.add(task);
  return () => tasks.delete(task);
}

function listen(closed: AbortSignal): Set<() => void> {
  const tasks = new Set<() => void>();
  tasksOf.set(closed, tasks);
  const runAll = (): void => {
    for (const task of tasks) task();
  };
  closed.addEventListener("abort", runAll, { once: true });
  return tasks;
}

/** Signers that were dropped without close() let their secrets go too. */
export const forgotten = new FinalizationRegistry<() => void>((release) => release());
