import type { Clock } from "../../lib/sigv4/clock.js";

/** A clock that stands still until it is moved; timers run on the way, in order. */
export class ManualClock implements Clock {
  #now: number;
  #timers: { at: number; task: () => void }[] = [];

  constructor(start: string) {
    this.#now = Date.parse(start);
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#now + ms, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get pending(): number {
    return this.#timers.length;
  }

  /** Somebody sets the clock: what timers have left stays as it is. */
  jumpTo(time: string): void {
    const to = Date.parse(time);
    for (const timer of this.#timers) timer.at += to - this.#now;
    this.#now = to;
  }

  /** Moves to a time, and lets promises that the timers started go on. */
  async moveTo(time: string): Promise<void> {
    const end = Date.parse(time);
    for (;;) {
      const next = this.#timers.sort((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      this.#timers.shift();
      this.#now = Math.max(this.#now, next.at);
      next.task();
      await new Promise((go) => setImmediate(go));
    }
    this.#now = end;
  }
}
