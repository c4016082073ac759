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
  let end: (reason: unknown) => void = () => undefined;
  const ended = new Promise<never>((_, reject) => {
    end = (reason) => {
      reject(reason);
      controller.abort(reason);
    };
  });
  const timer = setTimeout(() => end(late()), timeout);
  const abort = (): void => end(caller?.reason);
  if (caller) {
    setMaxListeners(0, caller); // hundreds of calls may share a signal: that is no leak to warn of
    caller.addEventListener("abort", abort, { once: true });
  }
  try {
    return await Promise.race([work(controller.signal), ended]);
  } finally {
    clearTimeout(timer);
    caller?.removeEventListener("abort", abort);
  }
}
