import { readFileSync } from "node:fs";
import type { TpmSuite } from "./tpm-suite.js";

/** What a client may know of a TPM's key beforehand. */
export interface KnownKey {
  /** In hexadecimal, as tpm2_readpublic prints it. */
  name: string;
  /** As `tpm2_readpublic -f pem` writes it. */
  pem: string;
  /** A TPM2B_PUBLIC. */
  area: Buffer;
}

/** What tpm2_readpublic says of a key: a persistent one, or one in a context file. */
export function readKnownKey(suite: TpmSuite, place: string | number): KnownKey {
  const context = typeof place === "number" ? `0x${place.toString(16)}` : place;
  const printed = suite.tool("tpm2_readpublic", "-c", context, "-o", "known.pub");
  suite.tool("tpm2_readpublic", "-c", context, "-f", "pem", "-o", "known.pem");
  suite.tool("tpm2_flushcontext", "-t");
  return {
    name: /^name: ([0-9a-f]+)$/m.exec(printed)?.[1] ?? "",
    pem: readFileSync(suite.file("known.pem"), "latin1"),
    area: readFileSync(suite.file("known.pub")),
  };
}
