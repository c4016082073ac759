import type { NativeProbe } from "../../binding/native-probe.js";

/** What the file of a wrapped key says beside what its format has words for. */
export interface WrappedNote {
  /** The endorsement key that it is for. */
  parent?: "ek-rsa" | "ek-ecc" | undefined;
  /** A message and the MAC that the key gives of it: what an import can check. */
  probe?: NativeProbe | undefined;
}

/**
 * The text of a note, which goes into the file's description: `aws-hmac key; parent=ek-rsa; hmac-sha256(…)=…`. The
 * message is 32 random bytes and never shorter: the MAC of a date would be that day's SigV4 key.
 */
export function formatNote({ parent, probe }: WrappedNote): string {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  const parts = ["aws-hmac key"];
  if (parent) parts.push(`parent=${parent}`);
  if (probe) parts.push(`hmac-sha256(${hex(probe.probeMessage)})=${hex(probe.probeMac)}`);
  return parts.join("; ");
}

/** Reads such a text; of any other there is nothing to be had. */
export function parseNote(description: string): WrappedNote {
  const pattern = /^aws-hmac key(; parent=(ek-rsa|ek-ecc))?(; hmac-sha256\(([\da-f]{64})\)=([\da-f]{64}))?$/;
  const [, , parent, , message, mac] = pattern.exec(description) ?? [];
  const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
  return {
    ...(parent && { parent: parent as "ek-rsa" | "ek-ecc" }),
    ...(message && mac && { probe: { probeMessage: bytes(message), probeMac: bytes(mac) } }),
  };
}
