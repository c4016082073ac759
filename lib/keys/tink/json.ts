import type { KeysetError } from "../../core/errors.js";
import { cleartextKeyset, invalidKeyset } from "./errors.js";
import { type EncryptedKeyset, type KeyInfo, type KeysetInfo, prefixes, statuses } from "./messages.js";

/** Names that a cleartext keyset has and an encrypted one has not. */
const ofCleartext = ["key", "primaryKeyId", "primary_key_id"];

/**
 * Reads the JSON form of an encrypted keyset (protobuf.dev, "ProtoJSON Format"), as tink-go, tink-py and tink-java write
 * it: names in camelCase or snake_case, enums by name or number, base64 with either alphabet, padded or not. Stricter than
 * a parser of it must be: nothing unknown, nothing twice, no base64 that a writer would not write.
 *
 * @throws KeysetError `ERR_KEYSET_FORMAT`, `ERR_KEYSET_CLEARTEXT`. No message holds a part of the text
 */
export function parseEncryptedKeyset(text: string): EncryptedKeyset {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong("it is not valid JSON"); // the parser's own message quotes the text, which a secret may be in
  }
  const keyset = new JsonMessage(value, "the keyset");
  if (keyset.hasAnyOf(ofCleartext)) throw cleartextKeyset();
  const ciphertext = base64(keyset.take("encryptedKeyset"));
  const infoValue = keyset.take("keysetInfo");
  keyset.end();
  const info = infoValue === undefined ? undefined : keysetInfo(infoValue);
  // JSON.parse keeps the last of several fields with one name
  if (namesIn(text) !== countNames(value)) throw wrong("it has a field twice");
  return info ? { ciphertext, info } : { ciphertext };
}

/** The JSON form of an encrypted keyset, with a newline at its end. */
export function formatEncryptedKeyset({ ciphertext, info }: EncryptedKeyset): string {
  const keysetInfo = info && {
    primaryKeyId: info.primaryId,
    keyInfo: info.keys.map(({ typeUrl, status, id, prefix }) => ({
      typeUrl: Buffer.from(typeUrl).toString(),
      status: nameOf(statuses, status),
      keyId: id,
      outputPrefixType: nameOf(prefixes, prefix),
    })),
  };
  const encryptedKeyset = Buffer.from(ciphertext).toString("base64");
  return `${JSON.stringify({ encryptedKeyset, ...(keysetInfo && { keysetInfo }) }, undefined, 2)}\n`;
}

/** One message: its fields are taken out by their camelCase names, and none may be left. */
class JsonMessage {
  readonly #fields: Map<string, unknown>;
  readonly #name: string;

  constructor(value: unknown, name: string) {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      throw wrong(`${name} is no JSON object`);
    }
    this.#fields = new Map(Object.entries(value));
    this.#name = name;
  }

  hasAnyOf(names: readonly string[]): boolean {
    return names.some((name) => this.#fields.has(name));
  }

  /** The field's value, undefined where it is not there. */
  take(camelCase: string): unknown {
    const snakeCase = camelCase.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const present = [...new Set([camelCase, snakeCase])].filter((name) => this.#fields.has(name));
    if (present.length > 1) throw wrong(`${camelCase} is there twice`);
    const value = present[0] === undefined ? undefined : this.#fields.get(present[0]);
    if (value === null) throw wrong(`${camelCase} is null`);
    for (const name of present) this.#fields.delete(name);
    return value;
  }

  end(): void {
    if (this.#fields.size > 0) throw wrong(`${this.#name} has a field that does not belong into it`);
  }
}

function keysetInfo(value: unknown): KeysetInfo {
  const info = new JsonMessage(value, "keysetInfo");
  const primaryId = keyId("primaryKeyId", info.take("primaryKeyId"));
  const keys = info.take("keyInfo") ?? [];
  info.end();
  if (!Array.isArray(keys)) throw wrong("keyInfo is no list");
  return { primaryId, keys: keys.map(keyInfo) };
}

function keyInfo(value: unknown): KeyInfo {
  const key = new JsonMessage(value, "keyInfo");
  const typeUrl = key.take("typeUrl") ?? "";
  if (typeof typeUrl !== "string") throw wrong("typeUrl is no string");
  const status = enumValue("status", key.take("status"), statuses);
  const id = keyId("keyId", key.take("keyId"));
  const prefix = enumValue("outputPrefixType", key.take("outputPrefixType"), prefixes);
  key.end();
  return { typeUrl: Buffer.from(typeUrl), status, id, prefix };
}

/** tink-java takes ids as signed numbers too, and means the same 32 bits. */
function keyId(name: string, value: unknown): number {
  const number = typeof value === "string" && /^-?\d{1,10}$/.test(value) ? Number(value) : value;
  if (number === undefined) return 0;
  if (!Number.isInteger(number) || (number as number) < -(2 ** 31) || (number as number) >= 2 ** 32) {
    throw wrong(`${name} is no number of 32 bits`);
  }
  return (number as number) >>> 0;
}

function enumValue(name: string, value: unknown, names: Readonly<Record<string, number>>): number {
  if (value === undefined) return 0;
  if (typeof value === "string" && Object.hasOwn(names, value)) return names[value] as number;
  if (typeof value === "number" && Object.values(names).includes(value)) return value;
  throw wrong(`${name} has an unknown value`);
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string | undefined {
  return Object.keys(names).find((name) => names[name] === value);
}

/** Buffer skips what is no base64, and decodes the rest. */
function base64(value: unknown): Buffer {
  if (typeof value !== "string") throw wrong("encryptedKeyset is missing, or no string");
  const bytes = Buffer.from(value, "base64");
  const text = value.replace(/={1,2}$/, "");
  const padded = text.length !== value.length;
  const right = ["base64", "base64url"] as const;
  const same = right.some((alphabet) => bytes.toString(alphabet).replace(/=+$/, "") === text);
  if (!same || (padded && value.length % 4 !== 0)) throw wrong("encryptedKeyset is no valid base64");
  return bytes;
}

/** How many names of fields valid JSON has. */
function namesIn(text: string): number {
  let names = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) if (colon !== undefined) names++;
  return names;
}

function countNames(value: unknown): number {
  if (value === null || typeof value !== "object") return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, each) => sum + countNames(each), own);
}

function wrong(reason: string): KeysetError {
  return invalidKeyset("ERR_KEYSET_FORMAT", reason);
}
