import { createHash, createHmac } from "node:crypto";
import type { Checksum, SourceData } from "@smithy/types";

/** Plain SHA-256 and HMAC, as an SDK client has them of its own. */
export class PlainSha256 implements Checksum {
  readonly #hash;

  constructor(key?: SourceData) {
    this.#hash = key ? createHmac("sha256", key as string) : createHash("sha256");
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error("not used");
  }
}
