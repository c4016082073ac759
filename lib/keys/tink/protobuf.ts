import { secretBuffer } from "../../core/wipe.js";

/** What is wrong with some bytes, in words, without any of them. */
export class ProtobufError extends Error {}

/** What a message's fields are, by number: a uint32 or an enum, bytes or a message, or any number of messages. */
export type FieldTypes = Readonly<Record<number, "number" | "bytes" | "list">>;

/** Wire types of the Protocol Buffers encoding; the others are in no message of a keyset. */
const varint = 0;
const lengthDelimited = 2;

/**
 * The fields of one message in the Protocol Buffers wire format (protobuf.dev, "Encoding"), read more strictly than parsers
 * of it must: nothing unknown, nothing twice, no number that is too large or longer than it needs to be, nothing behind the
 * end. What a field holds is a view into the message, never a copy, so that whoever wipes the message wipes all of it.
 */
export class Message {
  readonly #numbers = new Map<number, number>();
  readonly #bytes = new Map<number, Buffer[]>();
  readonly #name: string;

  /**
   * @param name the message's name, for errors
   * @throws ProtobufError
   */
  constructor(bytes: Uint8Array, types: FieldTypes, name: string) {
    this.#name = name;
    const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), name);
    while (!reader.atEnd) {
      const tag = reader.number();
      const field = tag >>> 3;
      const type = Object.hasOwn(types, field) ? types[field] : undefined;
      if (type === undefined || (tag & 7) !== (type === "number" ? varint : lengthDelimited)) {
        throw new ProtobufError(`${name} has a field that does not belong into it`);
      }
      if (type !== "list" && this.has(field)) throw new ProtobufError(`${name} has a field twice`);
      if (type === "number") this.#numbers.set(field, reader.number());
      else this.#add(field, reader.bytes());
    }
  }

  has(field: number): boolean {
    return this.#numbers.has(field) || this.#bytes.has(field);
  }

  /** A number or enum; 0 where it is not there, which is the same (proto3). */
  number(field: number): number {
    return this.#numbers.get(field) ?? 0;
  }

  /** Bytes, a string's UTF-8 or a message; empty where it is not there, which is the same (proto3). */
  bytes(field: number): Buffer {
    return this.list(field)[0] ?? Buffer.alloc(0);
  }

  list(field: number): readonly Buffer[] {
    return this.#bytes.get(field) ?? [];
  }

  #add(field: number, bytes: Buffer): void {
    const list = this.#bytes.get(field);
    if (list) list.push(bytes);
    else this.#bytes.set(field, [bytes]);
  }

  /** A message in this one. */
  message(field: number, types: FieldTypes, name: string): Message {
    return new Message(this.bytes(field), types, `${name} of ${this.#name}`);
  }
}

class Reader {
  readonly #all: Buffer;
  readonly #name: string;
  #at = 0;

  constructor(bytes: Buffer, name: string) {
    this.#all = bytes;
    this.#name = name;
  }

  get atEnd(): boolean {
    return this.#at === this.#all.length;
  }

  /** A base 128 varint of at most 32 bits. */
  number(): number {
    let value = 0;
    for (let place = 1; ; place *= 0x80) {
      const byte = this.#all[this.#at++];
      if (byte === undefined) throw new ProtobufError(`${this.#name} is cut off`);
      value += (byte & 0x7f) * place;
      if (value > 0xffffffff || place > 0x10000000) {
        throw new ProtobufError(`${this.#name} has a number that is too large`);
      }
      if (byte >= 0x80) continue;
      if (byte === 0 && place > 1) {
        throw new ProtobufError(`${this.#name} has a number that is longer than it needs to be`);
      }
      return value;
    }
  }

  bytes(): Buffer {
    const length = this.number();
    if (length > this.#all.length - this.#at) throw new ProtobufError(`${this.#name} is cut off`);
    this.#at += length;
    return this.#all.subarray(this.#at - length, this.#at);
  }
}

/** A field to be written; the array is a message. What is 0 or empty is not written (proto3). */
export type Field = readonly [field: number, value: number | Uint8Array | readonly Field[]];

/** A message of these fields, in their order, in one buffer outside of V8's heap: the caller's to wipe. */
export function encodeMessage(fields: readonly Field[]): Buffer {
  const bytes = secretBuffer(sizeOf(fields));
  write(fields, bytes, 0);
  return bytes;
}

function isEmpty(value: Field[1]): boolean {
  return typeof value === "number" ? value === 0 : value.length === 0;
}

function sizeOf(fields: readonly Field[]): number {
  let size = 0;
  for (const [field, value] of fields) {
    if (isEmpty(value)) continue;
    size += varintSize(field * 8);
    if (typeof value === "number") size += varintSize(value);
    else {
      const length = contentSize(value);
      size += varintSize(length) + length;
    }
  }
  return size;
}

function contentSize(value: Uint8Array | readonly Field[]): number {
  return value instanceof Uint8Array ? value.length : sizeOf(value);
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

function write(fields: readonly Field[], into: Buffer, start: number): number {
  let at = start;
  for (const [field, value] of fields) {
    if (isEmpty(value)) continue;
    if (typeof value === "number") {
      at = writeVarint(value, into, writeVarint(field * 8 + varint, into, at));
      continue;
    }
    at = writeVarint(field * 8 + lengthDelimited, into, at);
    at = writeVarint(contentSize(value), into, at);
    if (value instanceof Uint8Array) {
      into.set(value, at);
      at += value.length;
    } else at = write(value, into, at);
  }
  return at;
}

function writeVarint(value: number, into: Buffer, start: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) into[at++] = (rest % 0x80) | 0x80;
  into[at++] = rest;
  return at;
}
