import { Transform } from "node:stream";
import { TransformStream } from "node:stream/web";
import type { HttpRequest, RequestSigner, SigningArguments } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import { canonicalInput, type SignableRequest } from "./canonical-input.js";
import { ChunkEncoder, type ChunkPlan, encodedLength } from "./chunk-encoder.js";
import { type ChunkTrailer, type TrailerPlan, trailerPlan } from "./chunk-trailer.js";
import type { KeyCache } from "./key-cache.js";

/** What `signChunks` of {@link HmacSigner} takes beside the request. */
export interface SignChunksOptions extends SigningArguments {
  /** Bytes of the body as you have it; by default what the request's content-length says. S3 takes no body of unknown length. */
  contentLength?: number | undefined;
  /** A checksum that is computed on the way, sent behind the body and signed. None by default. */
  trailer?: ChunkTrailer | undefined;
  /** Bytes of each chunk but the last, 8192 to 16777216; 65536 by default. That much is held in memory. */
  chunkSize?: number | undefined;
}

/** A request whose body is signed while it is sent. */
export interface SignedChunks {
  /** The request to send, without its body. Its headers are signed: send them all. */
  readonly request: HttpRequest;
  /** Bytes of the body as it is sent: what content-length says. */
  readonly encodedLength: number;
  /**
   * What the body goes through before it is sent, as a web stream of Uint8Arrays. It fails with `ERR_BODY_LENGTH` for another length than the
   * request says, `ERR_SIGN_INPUT` for anything but Uint8Arrays, `ERR_CLOSED`, or the key's error. Each call begins anew: to send the request once more.
   */
  transform(): TransformStream<Uint8Array, Uint8Array>;
  /** The same as a Node stream. */
  nodeTransform(): Transform;
}

const smallestChunk = 8 * 1024;
/** MinIO takes no larger ones. */
const largestChunk = 16 * 1024 * 1024;
const defaultChunk = 64 * 1024;

/**
 * Signs an S3 request whose body is not there yet (S3 API reference, "Transferring Payload in Multiple Chunks").
 *
 * @throws SigningError `ERR_INVALID_ARGUMENT`, `ERR_SIGN_INPUT`; whatever `signer` throws
 */
export async function signChunks(
  signer: RequestSigner,
  keys: KeyCache,
  input: SignableRequest,
  { contentLength, trailer: algorithm, chunkSize = defaultChunk, ...options }: SignChunksOptions,
): Promise<SignedChunks> {
  checkChunkSize(chunkSize);
  const trailer = algorithm === undefined ? undefined : trailerPlan(algorithm);
  const { headers } = canonicalInput(input, false).request;
  if (input.body !== undefined && input.body !== null) {
    throw invalid("the request must come without its body, which goes through transform()");
  }
  const size = { decodedLength: decodedLength(contentLength, headers), chunkSize, trailer };
  const length = encodedLength(size);
  const request = await signer.sign(
    { ...input, headers: seedHeaders(headers, size, length) } as HttpRequest,
    options,
  );
  const plan = { ...size, ...chain(keys, request) };
  return {
    request,
    encodedLength: length,
    transform: () => webTransform(new ChunkEncoder(plan)),
    nodeTransform: () => nodeTransform(new ChunkEncoder(plan)),
  };
}

function seedHeaders(
  headers: HttpRequest["headers"],
  { decodedLength, trailer }: { decodedLength: number; trailer: TrailerPlan | undefined },
  length: number,
): HttpRequest["headers"] {
  const { "content-length": _, ...seed } = headers;
  const kind = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer ? "-TRAILER" : ""}`;
  if ((seed["x-amz-content-sha256"] ?? kind) !== kind) {
    throw invalid(`x-amz-content-sha256 must be ${kind}, which is set if it is not there`);
  }
  const encodings = (seed["content-encoding"] ?? "").split(",").map((name) => name.trim());
  const others = encodings.filter((name) => name !== "" && name !== "aws-chunked");
  return {
    ...seed,
    "content-encoding": ["aws-chunked", ...others].join(","),
    "x-amz-content-sha256": kind,
    "x-amz-decoded-content-length": String(decodedLength),
    ...(trailer ? { "x-amz-trailer": trailer.name } : {}),
    ...("transfer-encoding" in seed ? {} : { "content-length": String(length) }),
  };
}

/** How the chunks of a signed request are signed: on its date and in its scope, however late. */
function chain(keys: KeyCache, { headers }: HttpRequest): Pick<ChunkPlan, "seed" | "dateAndScope" | "sign"> {
  const [, date = "", region = "", service = "", seed = ""] =
    /Credential=[^/]+\/(\d+)\/([^/]+)\/([^/]+)\/aws4_request, .*Signature=(\w+)$/.exec(
      headers.authorization ?? "",
    ) ?? [];
  const scope = { date, region, service };
  return {
    seed,
    dateAndScope: `${headers["x-amz-date"]}\n${date}/${region}/${service}/aws4_request\n`,
    sign: (head, hashed) => keys.signNow(scope, head, hashed) ?? signLater(keys, scope, head + hashed),
  };
}

async function signLater(
  keys: KeyCache,
  scope: Parameters<KeyCache["sign"]>[0],
  text: string,
): Promise<string> {
  return (await keys.sign(scope, Buffer.from(text, "latin1"))).toString("hex");
}

function webTransform(encoder: ChunkEncoder): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream<Uint8Array, Uint8Array>({
    transform: (bytes, controller) => encoder.write(bytes, (piece) => controller.enqueue(piece)),
    flush: (controller) => encoder.end((piece) => controller.enqueue(piece)),
  });
}

function nodeTransform(encoder: ChunkEncoder): Transform {
  return new Transform({
    transform(bytes, _encoding, done) {
      encoder.write(bytes, (piece) => this.push(piece)).then(() => done(), done);
    },
    flush(done) {
      encoder.end((piece) => this.push(piece)).then(() => done(), done);
    },
  });
}

function decodedLength(option: number | undefined, headers: HttpRequest["headers"]): number {
  const said = [headers["content-length"], headers["x-amz-decoded-content-length"]].filter(
    (one) => one !== undefined,
  );
  const [length, ...others] = [...(option === undefined ? [] : [option]), ...said.map(byteCount)];
  if (length === undefined) {
    throw invalid(
      "contentLength, the length of the body in bytes, is missing: S3 takes no body of unknown length; upload one in parts",
    );
  }
  if (!Number.isSafeInteger(length) || length < 0 || others.some((one) => one !== length)) {
    throw invalid(
      "contentLength and the headers content-length and x-amz-decoded-content-length must say the same number of bytes",
    );
  }
  return length;
}

function byteCount(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function checkChunkSize(size: unknown): void {
  if (Number.isInteger(size) && (size as number) >= smallestChunk && (size as number) <= largestChunk) return;
  throw new SigningError(
    "ERR_INVALID_ARGUMENT",
    `chunkSize must be a whole number of bytes from ${smallestChunk} to ${largestChunk}`,
  );
}

function invalid(message: string): SigningError {
  return new SigningError("ERR_SIGN_INPUT", message);
}
