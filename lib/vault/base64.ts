import { secretBuffer } from "../core/wipe.js";

const digits = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const values = new Int8Array(256).fill(-1);
digits.forEach((digit, value) => {
  values[digit] = value;
});

/** Bytes in base64 (RFC 4648, 4: padded), as ASCII: Node's own makes a string, which cannot be wiped. The caller wipes it. */
export function toBase64(bytes: Uint8Array): Buffer {
  const text = secretBuffer(Math.ceil(bytes.length / 3) * 4).fill("=");
  for (let at = 0, to = 0; at < bytes.length; at += 3, to += 4) {
    const [first = 0, second = 0, third = 0] = [bytes[at], bytes[at + 1], bytes[at + 2]];
    const group = (first << 16) | (second << 8) | third;
    const count = Math.min(bytes.length - at, 3) + 1;
    for (let n = 0; n < count; n++) text[to + n] = digits[(group >> (18 - 6 * n)) & 63] as number;
  }
  return text;
}

/** The bytes of padded base64, which the caller wipes; undefined of anything else. */
export function fromBase64(text: Uint8Array): Buffer | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.at(-1) !== 0x3d ? 0 : text.at(-2) !== 0x3d ? 1 : 2;
  const bytes = secretBuffer((text.length / 4) * 3 - padding);
  let group = 0;
  for (let at = 0, to = 0; at < text.length; at++) {
    const value = at < text.length - padding ? (values[text[at] as number] as number) : 0;
    if (value < 0) return undefined;
    group = (group << 6) | value;
    if (at % 4 < 3) continue;
    for (let shift = 16; shift >= 0 && to < bytes.length; shift -= 8) bytes[to++] = (group >> shift) & 255;
    group = 0;
  }
  return bytes;
}
