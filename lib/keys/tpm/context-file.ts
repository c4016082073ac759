import { AwsHmacError } from "../../core/errors.js";

const magic = 0xbadcc0de;
const headerLength = 26;

/**
 * Reads a context file, as tpm2-tools write it (`-c`, `--key-context`): the magic BADCC0DE and version 1, then a
 * TPMS_CONTEXT in an order of their own, all big-endian: hierarchy (4 bytes), savedHandle (4), sequence (8), contextBlob
 * (2 bytes of length, then the blob).
 *
 * @returns the same as TCG TPM 2.0 Part 2, 14.5 marshals it: sequence, savedHandle, hierarchy, contextBlob
 * @throws AwsHmacError `ERR_TPM_FILE_INVALID`
 */
export function parseTpmContext(file: Buffer): Uint8Array {
  if (file.length < 8 || file.readUInt32BE(0) !== magic) {
    throw invalid("it does not begin with BADCC0DE (give a persistent key as handle)");
  }
  const version = file.readUInt32BE(4);
  if (version !== 1) throw invalid(`its version is ${version}, not 1`);
  if (file.length < headerLength || file.readUInt16BE(24) !== file.length - headerLength) {
    throw invalid("it is cut off, or too long");
  }
  if (file.readUInt32BE(12) >>> 24 !== 0x80) throw invalid("it holds a session, not a key");
  return Buffer.concat([
    file.subarray(16, 24),
    file.subarray(12, 16),
    file.subarray(8, 12),
    file.subarray(24),
  ]);
}

function invalid(what: string): AwsHmacError {
  return new AwsHmacError("ERR_TPM_FILE_INVALID", `the context file cannot be used: ${what}`);
}
