import { createHmac } from "node:crypto";
import type { MacSource } from "../../lib/index.js";

/** What a call of a scripted key comes to: a right MAC, no answer until the call is aborted, or an error. */
export type Outcome = "answers" | "hangs" | Error;

/** A key whose calls come to what a test says; `answers` where it says nothing. */
export class ScriptedKey implements MacSource {
  readonly backend: string;
  readonly #secret: string;
  readonly #closed = new AbortController();
  /** What the next calls come to. */
  script: Outcome[] = [];
  /** What the calls came to, in order. */
  readonly came: Outcome[] = [];
  closings = 0;

  constructor(secret: string, backend = "scripted") {
    this.#secret = secret;
    this.backend = backend;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  async mac(message: Uint8Array, { signal }: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    const outcome = this.script.shift() ?? "answers";
    this.came.push(outcome);
    if (outcome === "answers") return createHmac("sha256", `AWS4${this.#secret}`).update(message).digest();
    if (outcome !== "hangs") throw outcome;
    return new Promise((_, reject) =>
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true }),
    );
  }

  async close(): Promise<void> {
    this.closings += 1;
    this.#closed.abort();
  }
}

/** What was asked since the last time this was called: of each key what its calls came to. */
export function cameOf(keys: readonly ScriptedKey[]): Outcome[][] {
  return keys.map((key) => key.came.splice(0));
}
