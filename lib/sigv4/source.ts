/** How many items are read before the time is looked at. */
const itemsPerLook = 8;

/**
 * What gives items, one after the other or some at a time.
 *
 * @inline
 */
export type Items<Item> = Iterable<Item | readonly Item[]> | AsyncIterable<Item | readonly Item[]>;

type Step<Item> = IteratorResult<Item | readonly Item[]>;

/** Where items are read. */
export class Source<Item> {
  readonly #iterator: Iterator<Item | readonly Item[]> | AsyncIterator<Item | readonly Item[]>;
  readonly #abort: Abort;
  #reading: Promise<Step<Item>> | undefined;
  /** No item comes any more. */
  ended = false;
  /** Why, if the source failed. */
  failure: { reason: unknown } | undefined;

  constructor(items: Items<Item>, abort: Abort) {
    this.#iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    this.#abort = abort;
  }

  /**
   * The next items: what an async source gives next, of another up to `limit` within some `milliseconds`, more only where they
   * come together. None at the end, where the source fails, or where `instead` settles before an async source answers. Rejects
   * with the signal's reason.
   */
  async read(limit: number, milliseconds: number, instead: Promise<undefined> | undefined): Promise<Item[]> {
    const items: Item[] = [];
    const end = performance.now() + milliseconds;
    try {
      while (items.length < limit) {
        const asked = this.#reading ?? this.#iterator.next();
        if ("then" in asked) {
          const next = await this.#wait(asked, instead);
          if (next) this.#keep(next, items);
          break;
        }
        if (!this.#keep(asked, items)) break;
        if (items.length % itemsPerLook === 0 && performance.now() >= end) break;
      }
    } catch (reason) {
      this.#abort.throwIfAborted();
      this.#reading = undefined;
      this.failure = { reason };
      this.ended = true;
    }
    return items;
  }

  /** Tells the source, unless it has ended, that no more is read. One that still owes an item may never answer: it is not waited for. */
  async stop(): Promise<void> {
    if (this.ended) return;
    if (!this.#reading) {
      await this.#iterator.return?.();
      return;
    }
    const ignore = (): void => undefined;
    this.#reading.then(ignore, ignore);
    Promise.resolve(this.#iterator.return?.()).then(ignore, ignore);
  }

  async #wait(
    asked: Promise<Step<Item>>,
    instead: Promise<undefined> | undefined,
  ): Promise<Step<Item> | undefined> {
    this.#reading = asked;
    const next = await this.#abort.wait(instead ? Promise.race([asked, instead]) : asked);
    if (next) this.#reading = undefined;
    return next;
  }

  /** Whether there may be more. */
  #keep({ done, value }: Step<Item>, items: Item[]): boolean {
    if (done) this.ended = true;
    else if (isList(value)) for (const item of value) items.push(item);
    else items.push(value);
    return !this.ended;
  }
}

function isList<Item>(value: Item | readonly Item[]): value is readonly Item[] {
  return Array.isArray(value);
}

/** Waits that a signal cuts short. One listener for all of them: those of Promise.race would pile up on a long-lived promise. */
export class Abort {
  readonly #signal: AbortSignal | undefined;
  readonly #listener = (): void => this.#reject?.(this.#signal?.reason);
  #reject: ((reason: unknown) => void) | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    signal?.addEventListener("abort", this.#listener);
  }

  throwIfAborted(): void {
    this.#signal?.throwIfAborted();
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
