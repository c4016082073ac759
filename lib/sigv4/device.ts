import { isUint8Array } from "node:util/types";
import { backendOf, channels, type MacEvent, observed } from "../core/diagnostics.js";
import { SigningError } from "../core/errors.js";
import type { MacSource } from "../core/hmac-key.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import type { Scope } from "./key-cache.js";
import { type KeySource, type SigningKeySource, takeSigningKey } from "./signing-key-source.js";

/** Asks a key, and counts. The only place from which signing does. */
export class Device {
  readonly #key: KeySource;
  #calls = 0;
  #failures = 0;

  constructor(key: KeySource) {
    this.#key = key;
  }

  /** How often the key was asked. */
  get calls(): number {
    return this.#calls;
  }

  /** How often it gave nothing. */
  get failures(): number {
    return this.#failures;
  }

  /** kDate = HMAC("AWS4" + secret, `date`): the one question that SigV4 has. As `mac` gives it. */
  dayKey(date: string, reason?: MacEvent["reason"]): Promise<Buffer> {
    return this.mac(Buffer.from(date, "ascii"), reason);
  }

  /**
   * HMAC-SHA256 of `message`: 32 bytes that the caller owns and wipes.
   *
   * @throws SigningError `ERR_MAC_LENGTH` when the key answers anything but 32 bytes; whatever the key throws
   */
  mac(message: Uint8Array, reason: MacEvent["reason"] = "signature"): Promise<Buffer> {
    const key = this.#key as MacSource;
    return this.#ask(reason, async () => ownedKey("the key's mac()", await key.mac(message)));
  }

  /**
   * The signing key of `scope`, of a key that gives such: 32 bytes that the caller owns and wipes.
   *
   * @throws SigningError `ERR_SIGNING_KEY`; whatever the key throws
   */
  signingKey(scope: Scope): Promise<Buffer> {
    const key = this.#key as SigningKeySource;
    return this.#ask("signature", async () => takeSigningKey(await key.signingKey({ ...scope })));
  }

  async #ask(reason: MacEvent["reason"], ask: () => Promise<Buffer>): Promise<Buffer> {
    this.#calls += 1;
    const tell = (): Pick<MacEvent, "backend" | "reason"> => ({ backend: backendOf(this.#key), reason });
    try {
      return await observed<MacEvent, Buffer>(channels.mac, tell, ask);
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
  }
}

/**
 * A copy of derived key bytes that somebody else's code gave; those are wiped.
 *
 * @param source who gave them, for the error
 * @throws SigningError `ERR_MAC_LENGTH` for anything but a Uint8Array of 32 bytes
 */
export function ownedKey(source: string, given: unknown): Buffer {
  if (!isUint8Array(given)) throw new SigningError("ERR_MAC_LENGTH", `${source} gave no Uint8Array`);
  const key = secretBuffer(32);
  try {
    if (given.length !== 32)
      throw new SigningError("ERR_MAC_LENGTH", `${source} gave ${given.length} bytes, not 32`);
    key.set(given);
    return key;
  } finally {
    wipe(given);
  }
}
