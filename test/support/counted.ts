import type { HmacKey } from "../../lib/core/hmac-key.js";

/** A key that keeps what it is asked, and can be told to fail or to wait. */
export interface CountedKey extends HmacKey {
  /** The messages of every call, in order. */
  readonly asked: string[];
  /** Every answer given, as it is now. */
  readonly answers: Uint8Array[];
  /** Errors to reject the next calls with. */
  readonly failures: Error[];
  /** Calls wait for this. */
  gate: Promise<void>;
}

/** `key`, counted; `close` closes it. */
export function counted(key: HmacKey): CountedKey {
  const answers: Uint8Array[] = [];
  const asked: string[] = [];
  const failures: Error[] = [];
  return {
    ...{ asked, answers, failures, gate: Promise.resolve() },
    backend: key.backend,
    ...(key.closed ? { closed: key.closed } : {}),
    async mac(message, options) {
      asked.push(Buffer.from(message).toString());
      await this.gate;
      const failure = failures.shift();
      if (failure) throw failure;
      const answer = await key.mac(message, options);
      answers.push(answer);
      return answer;
    },
    close: () => key.close(),
    [Symbol.asyncDispose]: () => key.close(),
  };
}
