import { AwsHmacError } from "../../core/errors.js";
import { secretBuffer } from "../../core/wipe.js";

/** The texts of a URI's path and the most bytes that can match: those of the fields in CK_TOKEN_INFO, CK_SLOT_INFO and CK_INFO. */
const pathTexts = {
  token: 32,
  manufacturer: 32,
  serial: 16,
  model: 16,
  "library-manufacturer": 32,
  "library-description": 32,
  "slot-manufacturer": 32,
  "slot-description": 64,
  object: 1024,
};
const queryTexts = { "module-path": 4096, "module-name": 255, "pin-source": 4096 };
const texts = new Map(Object.entries({ ...pathTexts, ...queryTexts }));
const pathAttributes = [...Object.keys(pathTexts), "id", "type", "slot-id", "library-version"];
const queryAttributes = [...Object.keys(queryTexts), "pin-value"];

/** What people write for an attribute, among them other programs' own names. */
const misnomers = new Map([
  ["slotid", "slot-id"],
  ["label", "object"],
  ["key", "object"],
  ["token-label", "token"],
  ["module", "module-path"],
  ["pin", "pin-value"],
  ["pinfile", "pin-source"],
]);

/** The URIs of aws_hmac for Go, and of the credential process made with it, as in `slot=0;object=HMACKey;id=0100`. */
const goSlot =
  "there is no such attribute: in the URIs of aws_hmac for Go it is the token's place in a list. Leave it out and name the token by " +
  "token or serial, or give its CK_SLOT_ID as slot-id; and write the id of such a URI, id=0100, as id=%01%00";

/** RFC 7512, 2.3: unreserved, pk11-path-res-avail less `&`, escapes; a query less `?`, with `/` and `|`. */
const pathValue = /^(?:[\w.~:[\]@!$'()*+,=-]|%[\da-f]{2})*$/i;
const queryValue = /^(?:[\w.~:[\]@!$'()*+,=/|-]|%[\da-f]{2})*$/i;

/**
 * The attributes of a `pkcs11:` URI (RFC 7512) by name, still percent-encoded. It is judged more strictly than by the
 * RFC: no attribute is unknown, nothing is left out or put in that could change its meaning unseen.
 *
 * @throws AwsHmacError `ERR_PKCS11_URI`; it names the attribute and never holds a PIN
 */
export function scanPkcs11Uri(uri: string): Map<string, string> {
  if (typeof uri !== "string" || !/^pkcs11:/i.test(uri)) throw uriError('it must begin with "pkcs11:"');
  const text = uri.slice("pkcs11:".length);
  const mark = text.indexOf("?");
  const attributes = new Map<string, string>();
  const path = mark < 0 ? text : text.slice(0, mark);
  if (path !== "") for (const part of path.split(";")) addPath(attributes, part);
  if (mark >= 0) for (const part of text.slice(mark + 1).split("&")) addQuery(attributes, part);
  if (attributes.has("pin-value") && attributes.has("pin-source")) {
    throw uriError("it has both pin-value and pin-source: give one of them");
  }
  if (attributes.has("module-path") && attributes.has("module-name")) {
    throw uriError("it has both module-path and module-name: give one of them");
  }
  return attributes;
}

/** The error of an attribute, or of the whole URI. */
export function uriError(reason: string, attribute?: string): AwsHmacError {
  const where = attribute === undefined ? "" : `attribute ${attribute}: `;
  return new AwsHmacError("ERR_PKCS11_URI", `the PKCS#11 URI is not usable: ${where}${reason}`);
}

/** Why a slot's number cannot be used: JavaScript would round it. */
export function beyondSlots(others: string): string {
  return `above ${Number.MAX_SAFE_INTEGER}, the greatest that can be given: name the token by ${others} instead`;
}

/** The bytes of a value: none of them goes through a string. `encoded` has passed `scanPkcs11Uri`. */
export function percentDecoded(encoded: string): Buffer {
  const bytes = secretBuffer(encoded.length - 2 * (encoded.split("%").length - 1));
  for (let from = 0, to = 0; from < encoded.length; to++) {
    const isEscape = encoded[from] === "%";
    bytes[to] = isEscape ? Number.parseInt(encoded.slice(from + 1, from + 3), 16) : encoded.charCodeAt(from);
    from += isEscape ? 3 : 1;
  }
  return bytes;
}

function addPath(attributes: Map<string, string>, part: string): void {
  const [name, value] = split(part, ";", attributes);
  if (queryAttributes.includes(name))
    throw uriError("it belongs behind the ?, with & between attributes", name);
  if (!pathAttributes.includes(name)) throw unknown(name);
  if (value.includes("&"))
    throw uriError('"&" ends no attribute here: write ";" between two, %26 in a value', name);
  if (!pathValue.test(value)) throw badCharacter(name, value);
  add(attributes, name, value);
}

function addQuery(attributes: Map<string, string>, part: string): void {
  // What comes behind a PIN may be a piece of it.
  const behindPin = attributes.has("pin-value");
  const [name, value] = split(part, "&", attributes);
  if (pathAttributes.includes(name))
    throw uriError("it belongs before the ?, with ; between attributes", name);
  if (!queryAttributes.includes(name)) {
    throw behindPin
      ? uriError('it is followed by an unknown one; "&" in a PIN is %26', "pin-value")
      : unknown(name);
  }
  if (value.includes(";"))
    throw uriError('";" ends no attribute here: write "&" between two, %3B in a value', name);
  if (!queryValue.test(value)) throw badCharacter(name, value);
  add(attributes, name, value);
}

function split(part: string, separator: string, before: Map<string, string>): [string, string] {
  const last = [...before.keys()].at(-1);
  const place = last === undefined ? "at the beginning" : `after ${last}`;
  if (part === "") throw uriError(`there is a stray "${separator}" or "?" ${place}`);
  const equals = part.indexOf("=");
  if (equals < 1) throw uriError(`there is an attribute without a name or "=" ${place}`);
  return [part.slice(0, equals), part.slice(equals + 1)];
}

function add(attributes: Map<string, string>, name: string, value: string): void {
  if (attributes.has(name)) throw uriError("it is there twice", name);
  checkValue(name, value);
  attributes.set(name, value);
}

function unknown(name: string): AwsHmacError {
  const plain = name.trim().toLowerCase();
  if (plain === "slot") return uriError(goSlot, JSON.stringify(name));
  const known = [...pathAttributes, ...queryAttributes].includes(plain) ? plain : misnomers.get(plain);
  const hint =
    known === undefined ? "vendors' attributes are not supported either" : `${known} is meant, perhaps`;
  return uriError(`there is no such attribute (${hint})`, JSON.stringify(name.slice(0, 40)));
}

function badCharacter(name: string, value: string): AwsHmacError {
  if (/%(?![\da-f]{2})/i.test(value)) {
    return uriError('"%" is not followed by two hexadecimal digits; "%" itself is %25', name);
  }
  return uriError(
    /\s/.test(value) ? "it has white space: a space is %20" : "percent-encode its special characters",
    name,
  );
}

function checkValue(name: string, value: string): void {
  const longest = texts.get(name);
  if (longest !== undefined) checkText(name, percentDecoded(value), longest);
  if (name === "type" && value !== "secret-key") {
    throw uriError("it must be secret-key, which is what an HMAC key is", name);
  }
  if (name === "slot-id") checkSlot(name, value);
  // p11-kit keeps 255 for "any".
  if (name === "library-version" && !/^\d{1,3}(\.\d{1,3})?$/.test(value)) {
    throw uriError("it must be like 2 or 2.61", name);
  }
  if (name === "library-version" && value.split(".").some((number) => Number(number) > 254)) {
    throw uriError("each of its numbers must be of 0..254", name);
  }
  if (name === "id" && /^(0x)?[\da-f]+$/i.test(value)) throw uriError(hexadecimal(value), name);
  if (value === "" && queryAttributes.includes(name)) throw uriError("it is empty", name);
}

function checkSlot(name: string, value: string): void {
  if (!/^\d+$/.test(value)) throw uriError("it must be a number in decimal digits", name);
  if (!Number.isSafeInteger(Number(value))) throw uriError(`it is ${beyondSlots("serial or token")}`, name);
}

/** Ids that somebody took for hexadecimal, as many programs do. */
function hexadecimal(value: string): string {
  const digits = value.replace(/^0x/i, "");
  const bytes = digits.length % 2 === 0 ? digits.replace(/../g, "%$&") : "%01%23 (say, for the bytes 01 23)";
  const characters = Buffer.from(value).toString("hex").replace(/../g, "%$&");
  return `hexadecimal digits stand for their characters here: for bytes write id=${bytes}, for these characters id=${characters}`;
}

function checkText(name: string, bytes: Buffer, longest: number): void {
  if (bytes.length > longest)
    throw uriError(`it has ${bytes.length} bytes, and at most ${longest} can match`, name);
  if (bytes.includes(0)) throw uriError("it has a NUL character", name);
  if (!Buffer.from(bytes.toString("utf8")).equals(bytes)) throw uriError("it is not UTF-8", name);
}
