/**
 * Runs `work` for at most `timeout` milliseconds: then its signal is aborted with `late()`, which the call rejects with,
 * whether or not the work heeds the signal.
 */
export async function withDeadline<T>(
  timeout: number,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = late();
      reject(error);
      controller.abort(error);
    }, timeout);
  });
  try {
    return await Promise.race([work(controller.signal), end]);
  } finally {
    clearTimeout(timer);
  }
}
