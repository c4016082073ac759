import { hash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { isUint8Array } from "node:util/types";
import type { Checksum } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import { emptyPayloadHash } from "./canonical-request.js";
import type { TrailerPlan } from "./chunk-trailer.js";

/** What every pass over the body of one request has in common. */
export interface ChunkPlan {
  /** Bytes of the body before it is encoded. */
  readonly decodedLength: number;
  /** Bytes of each chunk but the last. */
  readonly chunkSize: number;
  readonly trailer: TrailerPlan | undefined;
  /** The signature of the request. */
  readonly seed: string;
  /** The date and the scope as a string to sign has them: two lines. */
  readonly dateAndScope: string;
  /** The signature of a string in two parts, the last a hash: 64 hex digits. */
  sign(head: string, hashed: string): string | Promise<string>;
}

/** Takes what is to be sent. */
export type Emit = (bytes: Uint8Array) => void;

const signatureLength = 64;
const trailerSignature = "x-amz-trailer-signature:";
/** Bytes after which other work of the event loop has its turn. */
const turn = 1 << 20;

/** The bytes of a chunk's first line. */
function lineLength(size: number): number {
  return `${size.toString(16)};chunk-signature=\r\n`.length + signatureLength;
}

/** The bytes of a body once it is encoded. */
export function encodedLength({
  decodedLength,
  chunkSize,
  trailer,
}: Pick<ChunkPlan, "decodedLength" | "chunkSize" | "trailer">): number {
  const chunk = (size: number): number => lineLength(size) + size + "\r\n".length;
  const rest = decodedLength % chunkSize;
  const chunks = ((decodedLength - rest) / chunkSize) * chunk(chunkSize) + (rest > 0 ? chunk(rest) : 0);
  const trailerLength = trailer
    ? `${trailer.name}:\r\n${trailerSignature}\r\n`.length + trailer.valueLength + signatureLength
    : 0;
  return chunks + lineLength(0) + trailerLength + "\r\n".length;
}

/**
 * One pass over a body: cuts it into chunks, each with a signature that follows from the one before (S3 API reference,
 * "Transferring Payload in Multiple Chunks", "Including Trailing Headers").
 */
export class ChunkEncoder {
  readonly #plan: ChunkPlan;
  readonly #checksum: Checksum | undefined;
  #prior: string;
  /** The start of a chunk, and how many bytes of it there are; a buffer of its own for each chunk: it is handed on. */
  #rest: Buffer | undefined;
  #held = 0;
  #taken = 0;
  #sinceTurn = 0;
  /** What ends the chunk before. */
  #end = "";

  constructor(plan: ChunkPlan) {
    this.#plan = plan;
    this.#prior = plan.seed;
    this.#checksum = plan.trailer?.start();
  }

  /**
   * Takes the next bytes of the body, and emits the chunks that became whole; a chunk that lies in `bytes` as it is not copied.
   *
   * @throws SigningError `ERR_BODY_LENGTH`, `ERR_SIGN_INPUT` for anything but bytes, `ERR_CLOSED`; or the key's error
   */
  async write(bytes: Uint8Array, emit: Emit): Promise<void> {
    if (!isUint8Array(bytes)) throw new SigningError("ERR_SIGN_INPUT", "the body must come as Uint8Arrays");
    const { decodedLength, chunkSize } = this.#plan;
    this.#taken += bytes.length;
    if (this.#taken > decodedLength) throw this.#wrongLength("more");
    let from = 0;
    while (from < bytes.length) {
      const size = Math.min(chunkSize - this.#held, bytes.length - from);
      const part = bytes.subarray(from, from + size);
      from += size;
      if (size === chunkSize) await this.#chunk(part, emit);
      else await this.#hold(part, emit);
    }
  }

  /**
   * Emits the last chunk, the empty one and the trailer.
   *
   * @throws SigningError `ERR_BODY_LENGTH`, `ERR_CLOSED`; or the key's error
   */
  async end(emit: Emit): Promise<void> {
    if (this.#taken < this.#plan.decodedLength) throw this.#wrongLength("fewer");
    if (this.#rest) await this.#chunk(this.#rest.subarray(0, this.#held), emit);
    const last = this.#end + (await this.#line(Buffer.alloc(0)));
    emit(Buffer.from(`${last}${await this.#trailer()}\r\n`, "latin1"));
  }

  async #hold(part: Uint8Array, emit: Emit): Promise<void> {
    this.#rest ??= Buffer.allocUnsafeSlow(this.#plan.chunkSize);
    this.#rest.set(part, this.#held);
    this.#held += part.length;
    if (this.#held < this.#plan.chunkSize) return;
    const chunk = this.#rest;
    this.#rest = undefined;
    this.#held = 0;
    await this.#chunk(chunk, emit);
  }

  async #chunk(chunk: Uint8Array, emit: Emit): Promise<void> {
    this.#sinceTurn += chunk.length;
    if (this.#sinceTurn > turn) {
      this.#sinceTurn = 0;
      await setImmediate();
    }
    this.#checksum?.update(chunk);
    emit(Buffer.from(this.#end + (await this.#line(chunk)), "latin1"));
    emit(chunk);
    this.#end = "\r\n";
  }

  async #line(chunk: Uint8Array): Promise<string> {
    const { dateAndScope } = this.#plan;
    const head = `AWS4-HMAC-SHA256-PAYLOAD\n${dateAndScope}${this.#prior}\n${emptyPayloadHash}\n`;
    this.#prior = await this.#plan.sign(head, hash("sha256", chunk, "hex"));
    return `${chunk.length.toString(16)};chunk-signature=${this.#prior}\r\n`;
  }

  async #trailer(): Promise<string> {
    const { trailer, dateAndScope } = this.#plan;
    if (!trailer || !this.#checksum) return "";
    const value = Buffer.from(await this.#checksum.digest()).toString("base64");
    const head = `AWS4-HMAC-SHA256-TRAILER\n${dateAndScope}${this.#prior}\n`;
    const signature = await this.#plan.sign(head, hash("sha256", `${trailer.name}:${value}\n`, "hex"));
    return `${trailer.name}:${value}\r\n${trailerSignature}${signature}\r\n`;
  }

  #wrongLength(which: "more" | "fewer"): SigningError {
    return new SigningError(
      "ERR_BODY_LENGTH",
      `the body has ${which} bytes than the ${this.#plan.decodedLength} that the signed request says`,
    );
  }
}
