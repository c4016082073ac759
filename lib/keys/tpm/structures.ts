/** Algorithm identifiers (TCG TPM 2.0 Part 2, 6.3, TPM_ALG_ID). */
export const algorithms = {
  rsa: 0x0001,
  sha1: 0x0004,
  hmac: 0x0005,
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  sha384: 0x000c,
  sha512: 0x000d,
  none: 0x0010,
  rsassa: 0x0014,
  rsaes: 0x0015,
  rsapss: 0x0016,
  ecdsa: 0x0018,
  ecdaa: 0x001a,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

/** The name of a hash as node:crypto has it; undefined for a TPM_ALG_ID that is no hash of Node's and the TPM's. */
export function hashName(algorithm: number): TpmHash | undefined {
  return hashes.find((name) => algorithms[name] === algorithm);
}

/** The hashes that both know. */
export type TpmHash = (typeof hashes)[number];

const hashes = ["sha1", "sha256", "sha384", "sha512"] as const;

/** Numbers as a TPM marshals them: big-endian, of 1, 2 or 4 bytes. */
export function uint8(value: number): Buffer {
  return Buffer.of(value);
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A TPM2B structure: two bytes of size, then the content (TCG TPM 2.0 Part 2, 10.4). */
export function tpm2b(...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([uint16(body.length), body]);
}

/** What is wrong with a TPM structure, in words. */
export class StructureError extends Error {}

/** Reads marshalled TPM structures field after field; `what` names a field in the error. */
export class StructureReader {
  #rest: Buffer;

  constructor(bytes: Uint8Array) {
    this.#rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint8(what: string): number {
    return this.take(1, what).readUInt8();
  }

  uint16(what: string): number {
    return this.take(2, what).readUInt16BE();
  }

  uint32(what: string): number {
    return this.take(4, what).readUInt32BE();
  }

  /** The content of a TPM2B structure. */
  sized(what: string): Buffer {
    return this.take(this.uint16(what), what);
  }

  take(length: number, what: string): Buffer {
    if (length > this.#rest.length) throw new StructureError(`${what} is cut off`);
    const bytes = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return bytes;
  }

  /** All that is left. */
  rest(): Buffer {
    return this.take(this.#rest.length, "the rest");
  }

  /** Nothing may follow. */
  end(what: string): void {
    if (this.#rest.length > 0) throw new StructureError(`${what} is followed by something else`);
  }
}

/**
 * What `read` makes of marshalled bytes, all of which it must take.
 *
 * @throws what `refuse` makes of a structure that is not right
 */
export function readStructure<T>(
  bytes: Uint8Array,
  what: string,
  read: (reader: StructureReader) => T,
  refuse: (what: string) => Error,
): T {
  try {
    const reader = new StructureReader(bytes);
    const result = read(reader);
    reader.end(what);
    return result;
  } catch (error) {
    if (!(error instanceof StructureError)) throw error;
    throw refuse(error.message);
  }
}
