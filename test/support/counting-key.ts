import { type HmacKey, insecureMemoryKey, type MacOptions } from "../../lib/index.js";

/** A memory key that counts what it is asked, and can be told to fail or to wait. */
export interface CountingKey extends HmacKey {
  /** The messages of every call, in order. */
  readonly asked: string[];
  /** Every answer given, as it is now. */
  readonly answers: Uint8Array[];
  /** Errors to reject the next calls with. */
  readonly failures: Error[];
  /** Calls wait for this. */
  gate: Promise<void>;
}

export function countingKey(secretAccessKey: string): CountingKey {
  const memory = insecureMemoryKey(secretAccessKey);
  const asked: string[] = [];
  const answers: Uint8Array[] = [];
  const failures: Error[] = [];
  return {
    backend: "counting",
    asked,
    answers,
    failures,
    gate: Promise.resolve(),
    get closed() {
      return memory.closed;
    },
    async mac(message: Uint8Array, options?: MacOptions) {
      asked.push(Buffer.from(message).toString());
      await this.gate;
      const failure = failures.shift();
      if (failure) throw failure;
      const answer = await memory.mac(message, options);
      answers.push(answer);
      return answer;
    },
    close: () => memory.close(),
    [Symbol.asyncDispose]: () => memory.close(),
  };
}
