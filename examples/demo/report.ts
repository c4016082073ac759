/** Prints what happens, step by step: the time each took and how often the device was asked to sign. */
export class Report {
  readonly #calls: () => number;

  /** `calls`: the signing calls so far. */
  constructor(calls: () => number = () => 0) {
    this.#calls = calls;
  }

  static heading(text: string): void {
    console.log(`\n${text}`);
  }

  /** Does one step; when it fails, the demo does. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const [start, callsBefore] = [performance.now(), this.#calls()];
    try {
      const result = await work();
      const calls = this.#calls() - callsBefore;
      const asked = calls === 0 ? "" : `   ${calls} device call${calls === 1 ? "" : "s"}`;
      console.log(`  ✓ ${name.padEnd(62)} ${time(performance.now() - start)}${asked}`);
      return result;
    } catch (error) {
      console.log(`  ✗ ${name}`);
      throw error;
    }
  }
}

function time(milliseconds: number): string {
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`.padStart(8);
}
