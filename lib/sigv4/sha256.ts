import { createHash, createHmac, createSecretKey, type Hash, type Hmac } from "node:crypto";
import type { Checksum, SourceData } from "@smithy/types";
import { toBuffer } from "./opaque-chain.js";

/** The hash class that smithy wants: SHA-256, or HMAC-SHA256 with a secret. */
export class Sha256 implements Checksum {
  readonly #start: () => Hash | Hmac;
  #hash: Hash | Hmac;

  constructor(secret?: SourceData) {
    const key = secret === undefined ? undefined : createSecretKey(toBuffer(secret));
    this.#start = () => (key ? createHmac("sha256", key) : createHash("sha256"));
    this.#hash = this.#start();
  }

  update(data: SourceData): void {
    this.#hash.update(toBuffer(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#start();
  }
}
