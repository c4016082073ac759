/** What is wrong with some DER (ITU-T X.690), in words. */
export class DerError extends Error {}

/** DER tags that TSS2 key files use; `explicit(n)` is [n] EXPLICIT. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  explicit: (number: number): number => 0xa0 | number,
} as const;

/** Reads DER elements one after another, and is strict about lengths. */
export class DerReader {
  #rest: Buffer;

  constructor(bytes: Buffer) {
    this.#rest = bytes;
  }

  /** The tag of the next element; undefined at the end. */
  get next(): number | undefined {
    return this.#rest[0];
  }

  /** The content of the next element, which must have this tag; `what` names it in the error. */
  read(tag: number, what: string): Buffer {
    if (this.next !== tag) throw new DerError(`${what} is missing`);
    const { start, length } = this.#length(what);
    if (length > this.#rest.length - start) throw new DerError(`${what} is cut off`);
    const content = this.#rest.subarray(start, start + length);
    this.#rest = this.#rest.subarray(start + length);
    return content;
  }

  /** The content of the next element if it has this tag. */
  readOptional(tag: number, what: string): Buffer | undefined {
    return this.next === tag ? this.read(tag, what) : undefined;
  }

  /** Nothing may follow. */
  end(what: string): void {
    if (this.#rest.length > 0) throw new DerError(`${what} is followed by something else`);
  }

  #length(what: string): { start: number; length: number } {
    const first = this.#rest[1];
    if (first === undefined) throw new DerError(`${what} is cut off`);
    if (first < 0x80) return { start: 2, length: first };
    const size = first & 0x7f;
    const bytes = this.#rest.subarray(2, 2 + size);
    if (size === 0 || size > 3 || bytes.length < size) throw new DerError(`${what} has an invalid length`);
    const length = bytes.readUIntBE(0, size);
    if (length < 0x80 || bytes[0] === 0) throw new DerError(`${what} has a length that is not DER`);
    return { start: 2 + size, length };
  }
}

/** One DER element. */
export function der(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size = body.length < 0x100 ? 1 : 2;
  const head = Buffer.alloc(2 + size);
  head[0] = tag;
  head[1] = 0x80 | size;
  head.writeUIntBE(body.length, 2, size);
  return Buffer.concat([head, body]);
}

/** A number of at most 32 bits, not negative, as an INTEGER. */
export function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(value, 1);
  const first = bytes.findIndex((byte) => byte !== 0);
  const start = first < 0 ? 4 : first;
  return der(tags.integer, bytes.subarray((bytes[start] ?? 0) >= 0x80 ? start - 1 : start));
}
