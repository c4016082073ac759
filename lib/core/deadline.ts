import { setMaxListeners } from "node:events";

/**
 * Runs `work` for at most `timeout` milliseconds: then its signal is aborted with `late()`, which the call rejects with,
 * whether or not the work heeds the signal. Where `caller` is aborted first, it is the caller's reason.
 */
export async function withDeadline<T>(
  timeout: number,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
  caller?: AbortSignal,
): Promise<T> {
  caller?.throwIfAborted();
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(late()), timeout);
  const abort = (): void => controller.abort(caller?.reason);
  if (caller) {
    setMaxListeners(0, caller); // hundreds of calls may share a signal: that is no leak to warn of
    caller.addEventListener("abort", abort, { once: true });
  }
  try {
    return await untilAborted(controller.signal, () => work(controller.signal));
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener("abort", abort);
  }
}

/** What `work` gives, or the signal's reason once it is aborted, whether or not the work heeds that. */
export async function untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  // listens before the work can: its own rejection comes behind
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
