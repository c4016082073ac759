import { secretBuffer, wipe } from "../core/wipe.js";

/** What a request says. A Uint8Array is the text of a string, in printable ASCII: a secret that never becomes a string here. */
export type VaultBody =
  | string
  | number
  | boolean
  | Uint8Array
  | readonly VaultBody[]
  | { readonly [member: string]: VaultBody };

/** What an answer says. */
export interface VaultData {
  readonly [member: string]: unknown;
}

const quote = 0x22;
const backslash = 0x5c;

/** JSON with the texts of secrets in it, which the caller wipes. */
export function jsonBytes(body: VaultBody): Buffer {
  const parts: Uint8Array[] = [];
  write(body, parts);
  const bytes = secretBuffer(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function write(value: VaultBody, parts: Uint8Array[]): void {
  const say = (text: string): number => parts.push(Buffer.from(text));
  if (value instanceof Uint8Array) {
    if (value.some((byte) => byte < 0x20 || byte > 0x7e || byte === quote || byte === backslash)) {
      throw new TypeError("a secret's text must be printable ASCII without quotes and backslashes");
    }
    say('"');
    parts.push(value);
    say('"');
  } else if (typeof value !== "object") {
    say(JSON.stringify(value));
  } else {
    const list = Array.isArray(value);
    say(list ? "[" : "{");
    Object.entries(value).forEach(([name, member], n) => {
      say(`${n > 0 ? "," : ""}${list ? "" : `${JSON.stringify(name)}:`}`);
      write(member, parts);
    });
    say(list ? "]" : "}");
  }
}

/**
 * What JSON text says. The strings of the members named in `secrets` are given as Buffers with their text, which the caller
 * wipes; they never become strings here, and their place in `bytes` is wiped.
 *
 * @throws SyntaxError where it is no JSON. Nothing of a secret is in its message
 */
export function parseJson(bytes: Buffer, secrets: readonly string[]): unknown {
  const found: Buffer[] = [];
  try {
    let name = "";
    for (let at = bytes.indexOf(quote); at >= 0; at = bytes.indexOf(quote, at)) {
      const end = endOfString(bytes, at + 1);
      const next = /[^\s]/.exec(bytes.toString("latin1", end + 1, end + 8))?.[0];
      if (next === ":") {
        name = secrets.find((secret) => bytes.subarray(at + 1, end).equals(Buffer.from(secret))) ?? "";
      } else {
        if (name !== "") cut(bytes, at, end, found);
        name = "";
      }
      at = end + 1;
    }
    return JSON.parse(bytes.toString("utf8"), (member, value) =>
      secrets.includes(member) && typeof value === "number" ? found[value] : value,
    );
  } catch {
    wipe(...found);
    throw new SyntaxError("not JSON"); // its own message quotes the text
  }
}

/** Takes a string's text out, and puts its number among those that were taken in its place. */
function cut(bytes: Buffer, at: number, end: number, found: Buffer[]): void {
  const text = secretBuffer(end - at - 1);
  bytes.copy(text, 0, at + 1, end);
  const number = String(found.push(text) - 1);
  bytes.fill(0x20, at, end + 1);
  if (number.length > end + 1 - at) throw new SyntaxError();
  bytes.write(number, at, "latin1");
}

function endOfString(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] !== quote) {
    if (at >= bytes.length) throw new SyntaxError();
    at += bytes[at] === backslash ? 2 : 1;
  }
  return at;
}
