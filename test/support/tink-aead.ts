import { execFileSync } from "node:child_process";
import path from "node:path";
import type { Aead } from "../../lib/core/aead.js";

const python = path.join(__dirname, "..", "..", "build", "python", "bin", "python");

/** tink-py's Aead for a KEK; `given` is what tink-aead.py reads: the URI, the endpoint, who calls. */
export function tinkAead(given: { kek: string; endpoint: string; [name: string]: unknown }): Aead {
  const run = (operation: string, data: Uint8Array, associatedData: Uint8Array): Buffer => {
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
    const input = JSON.stringify({ ...given, data: base64(data), associatedData: base64(associatedData) });
    const program = path.join(__dirname, "tink-aead.py");
    return Buffer.from(execFileSync(python, [program, operation], { input, encoding: "utf8" }), "base64");
  };
  return {
    encrypt: async (plaintext, associatedData) => run("encrypt", plaintext, associatedData),
    decrypt: async (ciphertext, associatedData) => run("decrypt", ciphertext, associatedData),
  };
}
