import type { NativeTpmBlobs, NativeTpmParent } from "../../binding/addon.js";
import { AwsHmacError } from "../../core/errors.js";
import { DerError, DerReader, der, integer, tags } from "./der.js";
import { isHierarchy, ownerHierarchy } from "./parent.js";
import { formatFilePolicy } from "./policy/file-format.js";
import { type FilePolicy, readFilePolicies } from "./policy/file-policy.js";
import type { Step } from "./policy/steps.js";
import { StructureError } from "./structures.js";

/** A key in a TPM key file: marshalled TPM2B_PUBLIC and TPM2B_PRIVATE, and the parent. */
export type TpmKeyBlobs = NativeTpmBlobs & NativeTpmParent;

/** What a TPM key file holds. */
export interface TpmKeyFile extends TpmKeyBlobs {
  /** The ways to satisfy the key's policy, to be tried in this order; undefined where the file has no policy. */
  policies?: FilePolicy[] | undefined;
}

const begin = "-----BEGIN TSS2 PRIVATE KEY-----";
const end = "-----END TSS2 PRIVATE KEY-----";

/** TCG's kinds of key, below 2.23.133.10.1. */
const loadableKey = "6781050a0103";
const otherKeys = new Map([
  ["6781050a0104", "an importable key: load it with tpm2_import first"],
  ["6781050a0105", "sealed data, not a key"],
]);

/**
 * Reads a TPM key file, `-----BEGIN TSS2 PRIVATE KEY-----` (ASN.1 TPMKey, draft-bottomley-tpm2-keys).
 * What it says about passwords is not used: the key's own attributes, which the TPM checks, decide.
 *
 * @returns the parent is a hierarchy (0x4000000…), whose ECC or RSA primary is meant, or a persistent handle
 * @throws AwsHmacError `ERR_PEM_INVALID`
 */
export function parseTss2Pem(pem: string): TpmKeyFile {
  try {
    return readTpmKey(pemBody(pem));
  } catch (error) {
    if (!(error instanceof DerError || error instanceof StructureError)) throw error;
    throw invalid(error.message);
  }
}

/**
 * Writes a TPM key file. The format has no word for an endorsement key: its file names the endorsement hierarchy.
 *
 * @param emptyAuth whether the key has no password
 * @param policy the key's policy; it is left out where the format has no words for it
 */
export function formatTss2Pem(
  { publicArea, privateArea, parent, primary }: TpmKeyBlobs,
  emptyAuth: boolean,
  policy: readonly Step[] = [],
): string {
  const fields = formatFilePolicy(policy);
  const key = der(
    tags.sequence,
    der(tags.objectIdentifier, Buffer.from(loadableKey, "hex")),
    ...(emptyAuth ? [flag(0)] : []),
    ...(fields ? [der(tags.explicit(1), fields.policy)] : []),
    ...(fields?.authPolicy ? [der(tags.explicit(3), fields.authPolicy)] : []),
    ...(primary.endsWith("rsa") ? [flag(5)] : []),
    integer(parent),
    der(tags.octetString, publicArea),
    der(tags.octetString, privateArea),
  );
  const lines = key.toString("base64").match(/.{1,64}/g) ?? [];
  return `${[begin, ...lines, end].join("\n")}\n`;
}

/** A BOOLEAN that is true: emptyAuth, rsaParent. */
const flag = (number: number): Buffer => der(tags.explicit(number), der(tags.boolean, Buffer.of(0xff)));

function invalid(what: string): AwsHmacError {
  return new AwsHmacError("ERR_PEM_INVALID", `the TSS2 PEM is not valid: ${what}`);
}

function pemBody(pem: string): Buffer {
  const [before, afterBegin, ...more] = pem.split(begin);
  if (before === undefined || afterBegin === undefined) throw invalid(`there is no line "${begin}"`);
  if (more.length > 0) throw invalid("it holds more than one key");
  const [body, afterEnd] = afterBegin.split(end);
  if (body === undefined || afterEnd === undefined) throw invalid(`there is no line "${end}"`);
  const base64 = body.replace(/\s+/g, "");
  const bytes = Buffer.from(base64, "base64");
  // Buffer.from skips what is not base64.
  if (base64 === "" || bytes.toString("base64") !== base64) throw invalid("its body is not base64");
  return bytes;
}

function readTpmKey(bytes: Buffer): TpmKeyFile {
  const file = new DerReader(bytes);
  const key = new DerReader(file.read(tags.sequence, "the TPMKey sequence"));
  file.end("the TPMKey sequence");
  requireLoadable(key.read(tags.objectIdentifier, "the key type"));
  readEmptyAuth(key.readOptional(tags.explicit(0), "emptyAuth"));
  const policy = key.readOptional(tags.explicit(1), "policy");
  if (key.readOptional(tags.explicit(2), "secret")) throw invalid("a loadable key has no secret");
  const authPolicy = key.readOptional(tags.explicit(3), "authPolicy");
  key.readOptional(tags.explicit(4), "description");
  const rsaParent = readRsaParent(key.readOptional(tags.explicit(5), "rsaParent"));
  key.readOptional(tags.explicit(6), "parentName"); // the TPM knows whose key it is
  const parent = readParent(key.read(tags.integer, "the parent"));
  const publicArea = key.read(tags.octetString, "pubkey");
  const privateArea = key.read(tags.octetString, "privkey");
  key.end("privkey");
  requireSized(publicArea, (what) => invalid(`pubkey ${what}`));
  requireSized(privateArea, (what) => invalid(`privkey ${what}`));
  const policies = readFilePolicies(policy, authPolicy);
  return { publicArea, privateArea, parent, primary: rsaParent ? "rsa" : "ecc", policies };
}

function requireLoadable(type: Buffer): void {
  const oid = type.toString("hex");
  if (oid === loadableKey) return;
  throw invalid(`it holds ${otherKeys.get(oid) ?? "no TPM key (the type is not 2.23.133.10.1.3)"}`);
}

/** tpm2-tools 5.4 inverts emptyAuth and writes true as 0x01: it is checked to be a BOOLEAN, and not used. */
function readEmptyAuth(content: Buffer | undefined): void {
  if (content) readBoolean(content, "emptyAuth");
}

function readRsaParent(content: Buffer | undefined): boolean {
  return content !== undefined && readBoolean(content, "rsaParent");
}

function readBoolean(content: Buffer, what: string): boolean {
  const reader = new DerReader(content);
  const value = reader.read(tags.boolean, what);
  reader.end(what);
  if (value.length !== 1) throw invalid(`${what} is not a BOOLEAN`);
  return value[0] !== 0;
}

/** A handle; some writers leave the leading zero out, which makes 0x81…… negative. */
function readParent(integer: Buffer): number {
  const bytes = integer.length === 5 && integer[0] === 0 ? integer.subarray(1) : integer;
  if (bytes.length < 1 || bytes.length > 4) throw invalid("the parent is not a handle");
  const handle = bytes.readIntBE(0, bytes.length) >>> 0;
  const kind = handle >>> 24;
  if (kind === 0x81 || isHierarchy(handle)) return handle;
  // A transient handle means nothing in a file: writers put it, or 0, where they mean the default parent.
  if (handle === 0 || kind === 0x80) return ownerHierarchy;
  throw invalid(
    `its parent 0x${handle.toString(16).padStart(8, "0")} is neither a hierarchy with keys nor a persistent handle`,
  );
}

/** A TPM2B structure starts with the size of what follows; throws what `refuse` makes of anything else. */
export function requireSized(structure: Buffer, refuse: (what: string) => Error): Buffer {
  if (structure.length < 3 || structure.readUInt16BE(0) !== structure.length - 2) {
    throw refuse("is not a TPM2B structure");
  }
  return structure;
}
