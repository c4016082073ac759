/** So far apart (milliseconds) two clocks may be without anybody's correcting it: `Date` has whole seconds, answers take time. */
const noise = 5_000;
/** From here on (milliseconds) the SDK corrects its signatures, and its clients would keep credentials that have ended. */
const wrong = 240_000;

/** Where the time comes from; injected in tests. */
export interface TimeSources {
  /** Milliseconds since 1970: this machine's clock, which may be wrong and may be set. */
  wall(): number;
  /** Milliseconds since whenever: never set, but may stand still while the machine sleeps. */
  steady(): number;
}

const machine: TimeSources = { wall: () => Date.now(), steady: () => performance.now() };

/** The server's time, learned from the `Date` of its answers; this machine's time until then. */
export class ServerClock {
  readonly #sources: TimeSources;
  #learned: { server: number; wall: number; steady: number } | undefined;

  constructor(sources: TimeSources = machine) {
    this.#sources = sources;
  }

  /** Learns from an answer's headers, just received; from a cache's answer (`Age`) there is nothing to learn. */
  learn(headers: Readonly<Record<string, string | undefined>>): void {
    const server = Date.parse(headers.date ?? "");
    if (Number.isNaN(server) || headers.age !== undefined) return;
    const wall = this.#sources.wall();
    this.#learned = {
      server: Math.abs(server - wall) < noise ? wall : server,
      wall,
      steady: this.#sources.steady(),
    };
  }

  /** What was learned is not believed. */
  forget(): void {
    this.#learned = undefined;
  }

  /**
   * Milliseconds since 1970. Since the last answer the longer of the two times has passed: this machine's clock may have
   * been set back, or the machine has slept. At worst credentials are taken for ended too early.
   */
  now(): number {
    const { wall, steady } = this.#sources;
    if (!this.#learned) return wall();
    return this.#learned.server + Math.max(wall() - this.#learned.wall, steady() - this.#learned.steady);
  }

  /** The server's time `end` as this machine's clock will show it where that is wrong by minutes; else unchanged. */
  local(end: Date): Date {
    const ahead = this.now() - this.#sources.wall();
    return new Date(Math.abs(ahead) < wrong ? end : end.getTime() - ahead);
  }
}
