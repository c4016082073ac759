import { isUint8Array } from "node:util/types";
import { channels, type MacEvent, observed } from "../core/diagnostics.js";
import { SigningError } from "../core/errors.js";
import type { MacSource } from "../core/hmac-key.js";
import { wipe } from "../core/wipe.js";

/** Which kind of device holds the key. */
export function backendOf(key: { readonly backend?: unknown }): string {
  return typeof key.backend === "string" ? key.backend : "custom";
}

/** Asks a key for MACs, and counts. The only place from which signing does. */
export class Device {
  readonly #key: MacSource;
  #calls = 0;
  #failures = 0;

  constructor(key: MacSource) {
    this.#key = key;
  }

  /** How often the key was asked. */
  get calls(): number {
    return this.#calls;
  }

  /** How often it gave no MAC. */
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
  async mac(message: Uint8Array, reason: MacEvent["reason"] = "signature"): Promise<Buffer> {
    this.#calls += 1;
    const tell = (): Pick<MacEvent, "backend" | "reason"> => ({ backend: backendOf(this.#key), reason });
    try {
      return await observed<MacEvent, Buffer>(channels.mac, tell, () => this.#ask(message));
    } catch (error) {
      this.#failures += 1;
      throw error;
    }
  }

  async #ask(message: Uint8Array): Promise<Buffer> {
    return ownedKey("the key's mac()", await this.#key.mac(message));
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
  // `allocUnsafeSlow`: outside of Buffer's shared pool.
  const key = Buffer.allocUnsafeSlow(32);
  try {
    if (given.length !== 32)
      throw new SigningError("ERR_MAC_LENGTH", `${source} gave ${given.length} bytes, not 32`);
    key.set(given);
    return key;
  } finally {
    wipe(given);
  }
}
