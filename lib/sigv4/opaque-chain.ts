import { createHash, createHmac, createSecretKey, type Hash, type KeyObject, randomBytes } from "node:crypto";
import type { Checksum, SourceData } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import type { KeyCache } from "./key-cache.js";

/** What @smithy/signature-v4 is given in place of a secret and of a hash class. */
export interface OpaqueChain {
  /** Random and worth nothing: without `sha256` it signs nothing. */
  readonly secretAccessKey: string;
  /** SHA-256 and HMAC-SHA256 for everything else, so that it can serve as the hash class of a whole SDK client. */
  readonly sha256: new (
    secret?: SourceData,
  ) => Checksum;
}

const secretPrefix = "aws-hmac-handle-";
/** Starts every key handle of this process, so that a copy of one is known for what it is. */
const handleMarker = randomBytes(16);
const handleLength = 32;

type Finish = (message: Buffer) => Promise<Uint8Array> | Uint8Array;

/**
 * Answers smithy's key derivation without key bytes. kDate, kRegion, kService and kSigning are random handles that stand
 * for the names they were derived with; only an HMAC keyed by a kSigning handle asks `keys`, and only that signature
 * leaves. Smithy keeps what it derives in a process-wide map: there is nothing in it to steal, and nothing in it can be
 * out of date.
 */
export function opaqueChain(keys: KeyCache): OpaqueChain {
  const secretAccessKey = secretPrefix + randomBytes(24).toString("hex");
  const secretKey = Buffer.from(secretAccessKey);
  const rootKey = Buffer.from(`AWS4${secretAccessKey}`);
  const asymmetricRootKey = Buffer.from(`AWS4A${secretAccessKey}`);
  const salt = createSecretKey(randomBytes(32));
  /** The names behind each handle: date, region, service, terminator. */
  const namesOf = new WeakMap<object, readonly string[]>();

  const newHandle = (names: readonly string[]): Uint8Array => {
    const handle = new Uint8Array(
      Buffer.concat([handleMarker, randomBytes(handleLength - handleMarker.length)]),
    );
    namesOf.set(handle, names);
    return handle;
  };

  const deriveFrom = (names: readonly string[], message: Buffer): Promise<Uint8Array> | Uint8Array => {
    const [date, region, service] = names;
    if (date === undefined) return newHandle([signingDay(message)]);
    if (region === undefined || service === undefined) return newHandle([...names, message.toString()]);
    if (names.length === 3) return newHandle([...names, terminator(message)]);
    return keys.sign({ date, region, service }, message);
  };

  /** Smithy's name for these credentials in its map: nobody who has the handle alone can make it, so nobody fills their place. */
  const answerCacheKey: Finish = (message) =>
    keys.mode === "none" ? randomBytes(32) : createHmac("sha256", salt).update(message).digest();

  /** What to do with a message under `secret`; undefined for a key that is none of ours. */
  const recognise = (secret: SourceData): Finish | undefined => {
    const names = typeof secret === "string" ? undefined : namesOf.get(secret);
    if (names) return (message) => deriveFrom(names, message);
    const bytes = toBuffer(secret);
    if (bytes.equals(rootKey)) return (message) => deriveFrom([], message);
    if (bytes.equals(secretKey)) return answerCacheKey;
    refuse(bytes, asymmetricRootKey);
    return undefined;
  };

  class OpaqueSha256 implements Checksum {
    readonly digestLength = 32;
    readonly #start: () => Hasher;
    #hasher: Hasher;

    constructor(secret?: SourceData) {
      this.#start = secret ? keyedHash(secret, recognise(secret)) : plainHash;
      this.#hasher = this.#start();
    }

    update(data: SourceData): void {
      this.#hasher.update(toBuffer(data));
    }

    async digest(): Promise<Uint8Array> {
      return this.#hasher.digest();
    }

    reset(): void {
      this.#hasher = this.#start();
    }
  }

  return { secretAccessKey, sha256: OpaqueSha256 };
}

interface Hasher {
  update(data: Buffer): void;
  digest(): Promise<Uint8Array> | Uint8Array;
}

function plainHash(): Hasher {
  const hash: Hash = createHash("sha256");
  return { update: (data) => void hash.update(data), digest: () => hash.copy().digest() };
}

function keyedHash(secret: SourceData, finish: Finish | undefined): () => Hasher {
  if (!finish) {
    const key: KeyObject = createSecretKey(toBuffer(secret));
    return () => createHmac("sha256", key);
  }
  return () => {
    const chunks: Buffer[] = [];
    return {
      update: (data) => void chunks.push(Buffer.from(data)),
      digest: () => finish(Buffer.concat(chunks)),
    };
  };
}

/** Refuses keys that are made from a handle but cannot lead to a right signature here. */
function refuse(key: Buffer, asymmetricRootKey: Buffer): void {
  if (key.equals(asymmetricRootKey)) {
    throw new SigningError(
      "ERR_SIGV4A_UNSUPPORTED",
      'this key signs SigV4 only: SigV4a (S3 multi-region access points, region "*") derives from another key, "AWS4A" + secret',
    );
  }
  const foreignHandle = [0, "AWS4".length, "AWS4A".length].includes(key.indexOf(secretPrefix));
  const copiedHandle =
    key.length === handleLength && key.subarray(0, handleMarker.length).equals(handleMarker);
  if (foreignHandle || copiedHandle) {
    throw new SigningError(
      "ERR_IDENTITY_MISUSE",
      "credentials and sha256 must come from the same sdkIdentity() call, and smithy's derived keys must not be copied",
    );
  }
}

function signingDay(message: Buffer): string {
  const date = message.toString();
  if (!/^\d{8}$/.test(date))
    throw new SigningError("ERR_SIGN_INPUT", "the signing date must be a UTC day, yyyymmdd");
  return date;
}

function terminator(message: Buffer): string {
  const name = message.toString();
  if (name !== "aws4_request")
    throw new SigningError("ERR_SIGN_INPUT", 'a credential scope must end in "aws4_request"');
  return name;
}

/** The bytes of `data`, not copied unless it is a string. */
export function toBuffer(data: SourceData): Buffer {
  if (typeof data === "string") return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.from(data);
}
