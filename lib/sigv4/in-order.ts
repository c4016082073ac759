import { setImmediate } from "node:timers/promises";

/** What makes a text of each item. */
export interface Work<Item> {
  /** The text, or undefined where it takes waiting. */
  now(item: Item): string | undefined;
  later(item: Item): Promise<string>;
  /** The text to give in place of one that failed, or undefined to give none; throws what ends everything. */
  failed(error: unknown, item: Item, index: number): string | undefined;
}

/** How many texts are waited for at a time. */
const windowLimit = 64;
/** Milliseconds after which the event loop gets its turn, and items after which the time is looked at. */
const longestStretch = 1;
const itemsPerLook = 8;

/**
 * The texts of `items`, in order. Reads an item when a text is asked for, and up to {@link windowLimit} ahead while
 * texts take waiting; a text that is ready does not wait for the next item. Lets the event loop turn every millisecond.
 *
 * @param signal ends it, with its reason
 */
export async function* inOrder<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  work: Work<Item>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const window: Pending<Item>[] = [];
  let reading: Promise<IteratorResult<Item>> | undefined;
  let ended = false;
  let failure: { reason: unknown } | undefined;
  let nextTurn = 0;
  const abort = new Abort(signal);
  try {
    for (let index = 0, looks = 0; ; looks++) {
      if (signal) signal.throwIfAborted();
      if (looks % itemsPerLook === 0 && performance.now() >= nextTurn) {
        await setImmediate();
        nextTurn = performance.now() + longestStretch;
      }
      const head = window[0];
      if (head && (head.settled || ended || window.length === windowLimit)) {
        if (!head.settled) await abort.wait(head.done);
        window.shift();
        const text = head.error ? work.failed(head.error.reason, head.item, head.index) : head.text;
        if (text !== undefined) yield text;
        continue;
      }
      if (ended) break;

      let next: IteratorResult<Item> | undefined;
      try {
        const asked = reading ?? source.next();
        if ("then" in asked) {
          reading = asked;
          next = await abort.wait(head ? Promise.race([asked, head.done]) : asked);
          if (!next) continue;
          reading = undefined;
        } else next = asked;
      } catch (reason) {
        signal?.throwIfAborted();
        reading = undefined;
        failure = { reason };
      }
      if (!next || next.done) {
        ended = true;
        continue;
      }
      const text = head ? undefined : work.now(next.value);
      if (text === undefined) window.push(new Pending(work, next.value, index));
      else yield text;
      index++;
    }
    if (failure) throw failure.reason;
  } finally {
    abort.end();
    if (!ended) await stop(source, reading);
  }
}

/** An item whose text takes waiting. */
class Pending<Item> {
  readonly item: Item;
  readonly index: number;
  /** Never rejects. */
  readonly done: Promise<undefined>;
  settled = false;
  text: string | undefined;
  error: { reason: unknown } | undefined;

  constructor(work: Work<Item>, item: Item, index: number) {
    this.item = item;
    this.index = index;
    const settle = (): undefined => {
      this.settled = true;
    };
    this.done = work
      .later(item)
      .then(
        (text) => {
          this.text = text;
        },
        (reason: unknown) => {
          this.error = { reason };
        },
      )
      .then(settle);
  }
}

/** Waits that a signal cuts short. One listener for all of them: those of Promise.race would pile up on a long-lived promise. */
class Abort {
  readonly #signal: AbortSignal | undefined;
  readonly #listener = (): void => this.#reject?.(this.#signal?.reason);
  #reject: ((reason: unknown) => void) | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#listener);
  }

  wait<T>(promise: Promise<T>): Promise<T> {
    if (!this.#signal) return promise;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      promise.then(resolve, reject);
    });
  }

  end(): void {
    this.#signal?.removeEventListener("abort", this.#listener);
  }
}

/** Tells the source that no more is read. One that still owes an item may never answer: it is not waited for. */
async function stop(
  source: Iterator<unknown> | AsyncIterator<unknown>,
  reading: Promise<unknown> | undefined,
): Promise<void> {
  if (!reading) {
    await source.return?.();
    return;
  }
  const ignore = (): void => undefined;
  reading.then(ignore, ignore);
  Promise.resolve(source.return?.()).then(ignore, ignore);
}
