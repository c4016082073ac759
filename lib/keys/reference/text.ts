import type { AwsHmacError } from "../../core/errors.js";
import { invalid } from "../../core/validate.js";

/** An error for a reference. `reason` shows the right form, and no part of the reference: it could be a secret. */
export function unusable(reason: string): AwsHmacError {
  return invalid(`the key's reference is not usable: ${reason}`);
}

/** What is before the first `?`, and what is behind it, if there is one. */
export function splitQuery(text: string): [place: string, query: string | undefined] {
  const mark = text.indexOf("?");
  return mark < 0 ? [text, undefined] : [text.slice(0, mark), text.slice(mark + 1)];
}

/**
 * The parameters behind a `?`: `name=value` with `&` between them, each of these names at most once, values as they stand.
 *
 * @param form the right form, for the error
 */
export function readQuery<Name extends string>(
  text: string | undefined,
  names: readonly Name[],
  form: string,
): Partial<Record<Name, string>> {
  const query: Partial<Record<Name, string>> = {};
  for (const part of text?.split("&") ?? []) {
    const [, name, value] = /^([a-z-]+)=(.+)$/s.exec(part) ?? [];
    const known = names.find((one) => one === name);
    if (known === undefined || value === undefined) throw unusable(form);
    if (known in query) throw unusable(`${known} is there twice`);
    query[known] = value;
  }
  return query;
}

/** Text that is percent-encoded UTF-8 (RFC 3986, 2.1). `what` names it in the error. */
export function decoded(what: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unusable(`${what} is not percent-encoded UTF-8: "%" itself is %25`);
  }
}

/** Bytes that are percent-encoded: of any value, but that other characters stand for themselves in UTF-8. */
export function decodedBytes(what: string, text: string): Buffer {
  if (/%(?![\da-f]{2})/i.test(text)) throw unusable(`${what} is not percent-encoded: "%" itself is %25`);
  const parts = text.split(/%(..)/);
  return Buffer.concat(parts.map((part, n) => (n % 2 === 1 ? Buffer.from(part, "hex") : Buffer.from(part))));
}

/** Bytes percent-encoded: what must be, and what is no printable ASCII. */
export function encodedBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("latin1");
  return text.replaceAll(
    /[^\w.~-]/g,
    (one) => `%${one.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
}

/** A path as a reference has it, which begins with one slash, `./` or `../`; undefined of any other text, as `//host/path`. */
export function pathIn(text: string): string | undefined {
  return /^\.{0,2}\/(?!\/)/.test(text) ? decoded("the path", text) : undefined;
}

/** The same written: what would be misread is percent-encoded. */
export function pathFor(file: string): string {
  const path = /^\.{0,2}\//.test(file) ? file.replace(/\/+/, "/") : `./${file}`;
  return path.replaceAll(/[%?#\s]/g, encodeURIComponent);
}
