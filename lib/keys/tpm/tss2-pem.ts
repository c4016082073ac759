import type { NativeTpmBlobs, NativeTpmParent } from "../../binding/native-tpm.js";
import { AwsHmacError } from "../../core/errors.js";
import { DerError, DerReader, der, integer, tags } from "./der.js";
import { isHierarchy, ownerHierarchy } from "./parent.js";
import type { FileFields } from "./policy/file-format.js";
import { readFilePolicies } from "./policy/file-policy.js";
import type { PolicyWay } from "./policy/native.js";
import { StructureError } from "./structures.js";

/** A key in a TPM key file: marshalled TPM2B_PUBLIC and TPM2B_PRIVATE, and the parent. */
export type TpmKeyBlobs = NativeTpmBlobs & NativeTpmParent;

/** What a TPM key file holds. */
export interface TpmKeyFile extends TpmKeyBlobs {
  /** The ways to satisfy the key's policy, to be tried in this order; undefined where the file has no policy. */
  policies?: PolicyWay[] | undefined;
}

const begin = "-----BEGIN TSS2 PRIVATE KEY-----";
const end = "-----END TSS2 PRIVATE KEY-----";

/** TCG's kinds of key, below 2.23.133.10.1. */
const kinds = {
  loadable: "6781050a0103",
  importable: "6781050a0104",
  "sealed data": "6781050a0105",
} as const;

/** The fields of a TPM key file (TPMKey, draft-bottomley-tpm2-keys, 3.1). */
export interface TpmKeyFields extends TpmKeyBlobs {
  kind: keyof typeof kinds;
  /** Whether the key has no password. */
  emptyAuth: boolean;
  policy?: FileFields | undefined;
  /** Marshalled TPM2B_ENCRYPTED_SECRET, of importable keys. */
  seed?: Uint8Array | undefined;
  /** A text for people. */
  description?: string | undefined;
}

/**
 * Reads a TPM key file, `-----BEGIN TSS2 PRIVATE KEY-----` (ASN.1 TPMKey, draft-bottomley-tpm2-keys).
 * What it says about passwords is not used: the key's own attributes, which the TPM checks, decide.
 *
 * @returns the parent is a hierarchy (0x4000000…), whose ECC or RSA primary is meant, or a persistent handle
 * @throws AwsHmacError `ERR_PEM_INVALID`
 */
export function parseTss2Pem(pem: string): TpmKeyFile {
  const { kind, publicArea, privateArea, parent, primary, policies } = readTpmKey(pem);
  if (kind === "importable") {
    throw invalidPem(
      "it holds an importable key, which is no key of this TPM yet: import it with importWrappedTpmKey",
    );
  }
  if (kind !== "loadable") throw invalidPem("it holds sealed data, not a key");
  return { publicArea, privateArea, parent, primary, policies };
}

/** Writes a TPM key file. The format has no word for an endorsement key: its file names the endorsement hierarchy. */
export function formatTpmKey(fields: TpmKeyFields): string {
  const { kind, emptyAuth, policy, seed, description, parent, primary, publicArea, privateArea } = fields;
  const key = der(
    tags.sequence,
    der(tags.objectIdentifier, Buffer.from(kinds[kind], "hex")),
    ...(emptyAuth ? [flag(0)] : []),
    ...(policy ? [der(tags.explicit(1), policy.policy)] : []),
    ...(seed ? [der(tags.explicit(2), der(tags.octetString, seed))] : []),
    ...(policy?.authPolicy ? [der(tags.explicit(3), policy.authPolicy)] : []),
    ...(description ? [der(tags.explicit(4), der(tags.utf8String, Buffer.from(description)))] : []),
    ...(primary.endsWith("rsa") ? [flag(5)] : []),
    integer(parent),
    der(tags.octetString, publicArea),
    der(tags.octetString, privateArea),
  );
  const lines = key.toString("base64").match(/.{1,64}/g) ?? [];
  return `${[begin, ...lines, end].join("\n")}\n`;
}

/**
 * Reads the fields of a TPM key file.
 *
 * @returns `policy` as the file has it, also where it is not understood; `policies` as far as it is
 * @throws AwsHmacError `ERR_PEM_INVALID`
 */
export function readTpmKey(pem: string): TpmKeyFields & TpmKeyFile {
  try {
    return readFields(pemBody(pem));
  } catch (error) {
    if (!(error instanceof DerError || error instanceof StructureError)) throw error;
    throw invalidPem(error.message);
  }
}

/** A BOOLEAN that is true: emptyAuth, rsaParent. */
const flag = (number: number): Buffer => der(tags.explicit(number), der(tags.boolean, Buffer.of(0xff)));

export function invalidPem(what: string): AwsHmacError {
  return new AwsHmacError("ERR_PEM_INVALID", `the TSS2 PEM is not valid: ${what}`);
}

function pemBody(pem: string): Buffer {
  const [before, afterBegin, ...more] = pem.split(begin);
  if (before === undefined || afterBegin === undefined) throw invalidPem(`there is no line "${begin}"`);
  if (more.length > 0) throw invalidPem("it holds more than one key");
  const [body, afterEnd] = afterBegin.split(end);
  if (body === undefined || afterEnd === undefined) throw invalidPem(`there is no line "${end}"`);
  const base64 = body.replace(/\s+/g, "");
  const bytes = Buffer.from(base64, "base64");
  // Buffer.from skips what is not base64.
  if (base64 === "" || bytes.toString("base64") !== base64) throw invalidPem("its body is not base64");
  return bytes;
}

function readFields(bytes: Buffer): TpmKeyFields & TpmKeyFile {
  const file = new DerReader(bytes);
  const key = new DerReader(file.read(tags.sequence, "the TPMKey sequence"));
  file.end("the TPMKey sequence");
  const kind = readKind(key.read(tags.objectIdentifier, "the key type"));
  const emptyAuth = readFlag(key.readOptional(tags.explicit(0), "emptyAuth"), "emptyAuth");
  const policy = key.readOptional(tags.explicit(1), "policy");
  const seed = readSeed(kind, key.readOptional(tags.explicit(2), "secret"));
  const authPolicy = key.readOptional(tags.explicit(3), "authPolicy");
  const description = readDescription(key.readOptional(tags.explicit(4), "description"));
  const rsaParent = readFlag(key.readOptional(tags.explicit(5), "rsaParent"), "rsaParent");
  key.readOptional(tags.explicit(6), "parentName"); // the TPM knows whose key it is
  const parent = readParent(key.read(tags.integer, "the parent"));
  const publicArea = key.read(tags.octetString, "pubkey");
  const privateArea = key.read(tags.octetString, "privkey");
  key.end("privkey");
  requireSized(publicArea, (what) => invalidPem(`pubkey ${what}`));
  requireSized(privateArea, (what) => invalidPem(`privkey ${what}`));
  const blobs = { publicArea, privateArea, parent, primary: rsaParent ? ("rsa" as const) : ("ecc" as const) };
  const policies = readFilePolicies(policy, authPolicy);
  const fields = policy && { policy, ...(authPolicy && { authPolicy }) };
  return { ...blobs, kind, emptyAuth, policy: fields, policies, seed, description };
}

function readKind(type: Buffer): TpmKeyFields["kind"] {
  const [kind] = Object.entries(kinds).find(([, oid]) => oid === type.toString("hex")) ?? [];
  if (kind === undefined) throw invalidPem("it holds no TPM key (the type is not 2.23.133.10.1.3)");
  return kind as TpmKeyFields["kind"];
}

function readSeed(kind: TpmKeyFields["kind"], content: Buffer | undefined): Buffer | undefined {
  if (kind !== "importable") {
    if (content) throw invalidPem("a key that is not importable has no secret");
    return undefined;
  }
  if (!content) throw invalidPem("an importable key must have a secret");
  const reader = new DerReader(content);
  const seed = reader.read(tags.octetString, "secret");
  reader.end("secret");
  return requireSized(seed, (what) => invalidPem(`secret ${what}`));
}

/** A text that another program wrote may be of another kind. */
function readDescription(content: Buffer | undefined): string | undefined {
  if (content?.[0] !== tags.utf8String) return undefined;
  return new DerReader(content).read(tags.utf8String, "description").toString("utf8");
}

/** tpm2-tools 5.4 inverts emptyAuth in keys that a TPM made, and writes true as 0x01. */
function readFlag(content: Buffer | undefined, what: string): boolean {
  return content !== undefined && readBoolean(content, what);
}

function readBoolean(content: Buffer, what: string): boolean {
  const reader = new DerReader(content);
  const value = reader.read(tags.boolean, what);
  reader.end(what);
  if (value.length !== 1) throw invalidPem(`${what} is not a BOOLEAN`);
  return value[0] !== 0;
}

/** A handle; some writers leave the leading zero out, which makes 0x81…… negative. */
function readParent(integer: Buffer): number {
  const bytes = integer.length === 5 && integer[0] === 0 ? integer.subarray(1) : integer;
  if (bytes.length < 1 || bytes.length > 4) throw invalidPem("the parent is not a handle");
  const handle = bytes.readIntBE(0, bytes.length) >>> 0;
  const kind = handle >>> 24;
  if (kind === 0x81 || isHierarchy(handle)) return handle;
  // A transient handle means nothing in a file: writers put it, or 0, where they mean the default parent.
  if (handle === 0 || kind === 0x80) return ownerHierarchy;
  throw invalidPem(
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
