import process from "node:process";

/** Milliseconds between two looks at how far something is. */
const interval = 500;

/**
 * A line at the terminal that says how far long work is, and goes when it ends. There is none without a terminal, nor where the
 * output goes to the same one.
 */
export class Progress implements Disposable {
  readonly #timer: NodeJS.Timeout | undefined;
  #isShown = false;

  /** @param now how far it is, in a few words */
  constructor(now: () => string, { stderr, stdout } = process) {
    if (stderr.isTTY !== true || stdout.isTTY === true) return;
    this.#timer = setInterval(() => {
      stderr.write(`\r\x1b[K${now()}`);
      this.#isShown = true;
    }, interval).unref();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#isShown) process.stderr.write("\r\x1b[K");
  }
}
