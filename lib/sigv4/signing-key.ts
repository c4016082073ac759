import { createHash, hash } from "node:crypto";
import type { SignLines } from "../binding/addon.js";
import { secretBuffer, wipe } from "../core/wipe.js";

/** SHA-256's block, in bytes. */
const blockLength = 64;
/** SHA-256's digest, in bytes. */
const digestLength = 32;
const hexLength = 2 * digestLength;
/** The longest string to sign of a request has some 200 bytes. */
const room = 512;

/** Canonical requests that differ in one line: each is `before` + line + `after`. Latin-1. */
export interface RequestLines {
  readonly before: string;
  /** Each with a `\n` behind it, which is no part of it. */
  readonly lines: string;
  readonly after: string;
  /** How many lines. */
  readonly count: number;
}

/**
 * A signing key as HMAC-SHA256 wants it (RFC 2104): the key in its two padded blocks, each with room for what is hashed
 * behind it, so that a signature is two one-shot hashes. Both blocks are key material: `wipe` ends the key.
 */
export class SigningKey {
  readonly #inner = secretBuffer(blockLength + room);
  readonly #outer = secretBuffer(blockLength + digestLength);
  /** What stands behind the inner block, and the block together with it and a hash. */
  #head: string | undefined;
  #headed = this.#inner;

  /** @param key 32 bytes, which are copied */
  constructor(key: Uint8Array) {
    for (let index = 0; index < blockLength; index++) {
      const byte = key[index] ?? 0;
      this.#inner[index] = byte ^ 0x36;
      this.#outer[index] = byte ^ 0x5c;
    }
  }

  /** HMAC-SHA256 of `message`: 32 bytes. */
  sign(message: Uint8Array): Buffer {
    const inner = this.#inner.subarray(0, blockLength);
    this.#outer.set(createHash("sha256").update(inner).update(message).digest(), blockLength);
    return hash("sha256", this.#outer, "buffer");
  }

  /**
   * HMAC-SHA256 of a string to sign in two parts: 64 hex digits.
   *
   * @param head all but the hash, ASCII; the same string as last time costs nothing
   * @param hashedRequest the canonical request's SHA-256: 64 hex digits
   */
  signHash(head: string, hashedRequest: string): string {
    if (head.length + hexLength > room) {
      return this.sign(Buffer.from(head + hashedRequest, "latin1")).toString("hex");
    }
    if (head !== this.#head) {
      writeBytes(this.#inner, blockLength, head);
      this.#head = head;
      this.#headed = this.#inner.subarray(0, blockLength + head.length + hexLength);
    }
    writeBytes(this.#inner, blockLength + head.length, hashedRequest);
    writeBytes(this.#outer, blockLength, hash("sha256", this.#headed, "binary"));
    return hash("sha256", this.#outer, "hex");
  }

  /**
   * For each of `lines` the HMAC-SHA256 of `head` and the canonical request's hash: 64 hex digits each, one after the other.
   *
   * @param signLines the addon's
   */
  signLines(signLines: SignLines, head: string, { before, lines, after }: RequestLines): string {
    return signLines(
      this.#inner.subarray(0, blockLength),
      this.#outer.subarray(0, blockLength),
      head,
      before,
      lines,
      after,
    );
  }

  /** The key's 32 bytes, in memory of their own that the caller wipes or gives away. */
  copy(): ArrayBuffer {
    return new Uint8Array(32).map((_, index) => (this.#inner[index] ?? 0) ^ 0x36).buffer;
  }

  wipe(): void {
    wipe(this.#inner, this.#outer);
  }
}

/** Writes a string of bytes. Faster than Buffer's own `write`, for so few. */
function writeBytes(target: Buffer, offset: number, bytes: string): void {
  for (let index = 0; index < bytes.length; index++) target[offset + index] = bytes.charCodeAt(index);
}
