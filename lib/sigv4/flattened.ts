const end: IteratorReturnResult<void> = { done: true, value: undefined };

/**
 * The texts of bursts, one by one. By hand, since an async generator takes half as long again for each of them.
 *
 * @param signal where it is aborted, texts that were not taken are left out: the bursts end with its reason
 */
export class Flattened implements AsyncGenerator<string, void, undefined> {
  readonly #bursts: AsyncGenerator<string[], void, undefined>;
  readonly #signal: AbortSignal | undefined;
  #texts: string[] = [];
  #taken = 0;
  #waiting = 0;
  /** Settles when all calls until now have been answered. */
  #last: Promise<void> = Promise.resolve();

  constructor(bursts: AsyncGenerator<string[], void, undefined>, signal: AbortSignal | undefined) {
    this.#bursts = bursts;
    this.#signal = signal;
  }

  next(): Promise<IteratorResult<string, void>> {
    return this.#waiting === 0 && this.#hasText()
      ? Promise.resolve(this.#take())
      : this.#afterLast(() => this.#next());
  }

  return(): Promise<IteratorResult<string, void>> {
    return this.#afterLast(() => {
      this.#texts = [];
      return this.#ended(this.#bursts.return());
    });
  }

  throw(error: unknown): Promise<IteratorResult<string, void>> {
    return this.#afterLast(() => {
      this.#texts = [];
      return this.#ended(this.#bursts.throw(error));
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #hasText(): boolean {
    return this.#taken < this.#texts.length && !this.#signal?.aborted;
  }

  #take(): IteratorResult<string, void> {
    return { done: false, value: this.#texts[this.#taken++] as string };
  }

  async #next(): Promise<IteratorResult<string, void>> {
    if (!this.#hasText()) {
      this.#texts = [];
      const { done, value } = await this.#bursts.next();
      if (done) return end;
      this.#texts = value;
      this.#taken = 0;
    }
    return this.#take();
  }

  async #ended(ending: Promise<unknown>): Promise<IteratorResult<string, void>> {
    await ending;
    return end;
  }

  /** Calls answer one after the other, as an async generator's do. */
  #afterLast<T>(call: () => Promise<T>): Promise<T> {
    const answer = this.#waiting === 0 ? call() : this.#last.then(call);
    const answered = (): void => {
      this.#waiting -= 1;
    };
    this.#waiting += 1;
    this.#last = answer.then(answered, answered);
    return answer;
  }
}
