import { setImmediate } from "node:timers/promises";
import { Latencies } from "./latencies.js";

export interface Measured {
  latencies: Latencies;
  /** How long it was measured. */
  seconds: number;
}

/**
 * Keeps `concurrency` calls going for `seconds`, or until `stop` is aborted. The event loop turns every millisecond: calls that
 * are done at once would keep signals from being heard.
 *
 * @throws what a call throws, unless it is the reason of `stop`
 */
export async function measure(
  call: () => Promise<unknown>,
  { seconds, concurrency, stop }: { seconds: number; concurrency: number; stop: AbortSignal },
): Promise<Measured> {
  const latencies = new Latencies();
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let nextTurn = begin + 1;
  let turn: Promise<void> | undefined;
  const lane = async (): Promise<void> => {
    for (let now = begin; now < end && !stop.aborted; now = performance.now()) {
      if (now >= nextTurn) {
        nextTurn = now + 1;
        turn = setImmediate();
      }
      await turn;
      const start = performance.now();
      await call();
      latencies.add(performance.now() - start);
    }
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, lane));
  } catch (error) {
    if (error !== stop.reason) throw error;
  }
  return { latencies, seconds: (performance.now() - begin) / 1000 };
}
