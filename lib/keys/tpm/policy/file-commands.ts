import { objectName, readPublicArea } from "../public-area.js";
import {
  algorithms,
  hashName,
  readStructure,
  StructureError,
  type StructureReader,
  tpm2b,
  uint32,
} from "../structures.js";
import { permanent } from "./check.js";
import { policyCommands, type Step } from "./steps.js";

/** A command of a policy as key files have it: TPM_CC and parameters (TPMPolicy, draft-bottomley-tpm2-keys). */
export interface FileCommand {
  code: number;
  /**
   * The parameters as TPM2_Policy… has them (TCG TPM 2.0 Part 3, 23), without handles. Two differ (draft-bottomley-tpm2-keys, 4.2):
   * PolicyAuthorize has TPM2B_PUBLIC keySign, TPM2B_DIGEST policyRef, TPMT_SIGNATURE; PolicySecret has TPM_HANDLE,
   * TPM2B_NAME, TPM2B_DIGEST policyRef.
   */
  body: Buffer;
}

/** How errors name a place in a key file, apart from the option `policy`. */
export const inFile = (at: string): string => `the key file's ${at}`;

/** A command that cannot be carried out here, and why. */
export interface Unsupported {
  kind: "unsupported";
  what: string;
}

/** TPM_CC of the policy commands that are not carried out, for their names. */
const others = new Map([
  [0x149, "PolicyNV"],
  [0x160, "PolicySigned"],
  [0x16d, "PolicyCounterTimer"],
  [0x16e, "PolicyCpHash"],
  [0x16f, "PolicyLocality"],
  [0x170, "PolicyNameHash"],
  [0x172, "PolicyTicket"],
  [0x187, "PolicyPhysicalPresence"],
  [0x190, "PolicyTemplate"],
  [0x192, "PolicyAuthorizeNV"],
]);

const permanents = new Set(permanent.values());

const readers = new Map<number, (body: StructureReader, at: string) => Step | Unsupported>([
  [policyCommands.authValue, () => ({ kind: "authValue" })],
  [policyCommands.password, () => ({ kind: "password" })],
  [policyCommands.secret, readSecret],
  [policyCommands.authorize, readAuthorize],
  [policyCommands.commandCode, (body) => ({ kind: "commandCode", code: body.uint32("code") })],
  [policyCommands.nvWritten, (body) => ({ kind: "nvWritten", written: yesNo(body, "writtenSet") })],
  [policyCommands.duplicationSelect, readDuplicationSelect],
  [policyCommands.or, readOr],
]);

/**
 * What a command asks for.
 *
 * @param at where it is, for errors
 * @throws StructureError where the parameters are not what the command has
 */
export function readCommand({ code, body }: FileCommand, at: string): Step | Unsupported {
  const read = code === policyCommands.pcr ? pcrReader(body) : readers.get(code);
  if (read === undefined) return unsupported(commandName(code));
  const refuse = (what: string): Error => new StructureError(`${at}: ${what}`);
  return readStructure(body, "the last parameter", (reader) => read(reader, inFile(at)), refuse);
}

function commandName(code: number): string {
  const name = others.get(code);
  return name === undefined ? `the command 0x${code.toString(16)}` : `TPM2_${name}`;
}

function unsupported(what: string): Unsupported {
  return { kind: "unsupported", what };
}

function yesNo(body: StructureReader, what: string): boolean {
  const value = body.uint8(what);
  if (value > 1) throw new StructureError(`${what} is neither 0 nor 1`);
  return value === 1;
}

/**
 * Go programs, GRUB and pcr-oracle write the command's parameters: TPM2B_DIGEST, TPML_PCR_SELECTION. openssl_tpm2_engine
 * writes what the policy's digest is made of: TPML_PCR_SELECTION, and the digest without a size. Its first number is
 * that of the selections, 1..16; a size makes it 0 or far more.
 */
function pcrReader(body: Buffer): (body: StructureReader, at: string) => Step | Unsupported {
  const first = body.length < 4 ? 0 : body.readUInt32BE();
  if (first < 1 || first > 16)
    return (reader, at) => pcrStep(reader.sized("pcrDigest"), selections(reader), at);
  return (reader, at) => {
    const selected = selections(reader);
    return pcrStep(reader.rest(), selected, at);
  };
}

interface Selection {
  bank: number;
  bits: Buffer;
}

function selections(reader: StructureReader): Selection[] {
  const count = reader.uint32("pcrs.count");
  if (count > 16) throw new StructureError("pcrs.count is over 16");
  return Array.from({ length: count }, () => {
    const bank = reader.uint16("pcrs.hash");
    return { bank, bits: reader.take(reader.uint8("pcrs.sizeofSelect"), "pcrs.pcrSelect") };
  });
}

function pcrStep(digest: Buffer, selected: Selection[], at: string): Step | Unsupported {
  const [only, ...more] = selected;
  if (only === undefined) throw new StructureError("pcrs is empty");
  if (more.length > 0) return unsupported("TPM2_PolicyPCR with several banks");
  if (hashName(only.bank) === undefined) return unsupported("TPM2_PolicyPCR with an unknown bank");
  if (only.bits.length !== 3) return unsupported("TPM2_PolicyPCR with other than 24 PCRs");
  if (digest.length !== 0 && digest.length !== 32)
    return unsupported("TPM2_PolicyPCR with no SHA-256 digest");
  const indices = Array.from({ length: 24 }, (_, index) => index).filter(
    (index) => ((only.bits[index >> 3] ?? 0) >> (index & 7)) & 1,
  );
  return { kind: "pcr", at, bank: only.bank, indices, digest: digest.length === 0 ? undefined : digest };
}

/** A peer of ours, salrashid123/tpm2, writes policyRef without a size, and nothing where it is empty. */
function readSecret(body: StructureReader, at: string): Step | Unsupported {
  const hint = body.uint32("objectHandleHint");
  const name = body.sized("objectName");
  const policyRef = withoutSize(body.rest());
  if (policyRef.length > 64) throw new StructureError("policyRef is over 64 bytes");
  const handle = hint === 0 && name.length === 4 ? name.readUInt32BE() : hint;
  if (permanents.has(handle)) {
    if (name.length > 0 && !name.equals(uint32(handle)))
      throw new StructureError("objectName is of another object");
    return { kind: "secret", at, handle, name: uint32(handle), policyRef };
  }
  const kind = handle >>> 24;
  if (kind !== 0x81 && kind !== 0x01) return unsupported("TPM2_PolicySecret without the object's handle");
  if (name.length > 66) throw new StructureError("objectName is over 66 bytes");
  return { kind: "secret", at, handle, name: name.length === 0 ? undefined : name, policyRef };
}

function withoutSize(rest: Buffer): Buffer {
  return rest.length >= 2 && rest.readUInt16BE() === rest.length - 2 ? rest.subarray(2) : rest;
}

function readAuthorize(body: StructureReader): Step {
  const publicKey = tpm2b(body.sized("keySign"));
  readPublicArea(publicKey);
  const policyRef = body.sized("policyRef");
  if (policyRef.length > 64) throw new StructureError("policyRef is over 64 bytes");
  const signature = readSignature(body.rest());
  return { kind: "authorize", publicKey, name: objectName(publicKey), policyRef, signature };
}

/** A marshalled TPMT_SIGNATURE (TCG TPM 2.0 Part 2, 11.3.4); undefined for the empty one, whose algorithm is TPM_ALG_NULL. */
function readSignature(signature: Buffer): Buffer | undefined {
  const refuse = (what: string): Error => new StructureError(what);
  const read = (reader: StructureReader): Buffer | undefined => {
    const algorithm = reader.uint16("policySignature");
    if (algorithm === algorithms.none) return undefined;
    const { rsassa, rsapss, ecdsa } = algorithms;
    if (algorithm !== rsassa && algorithm !== rsapss && algorithm !== ecdsa) {
      throw new StructureError("policySignature is neither RSASSA, RSAPSS nor ECDSA");
    }
    reader.uint16("policySignature.hash");
    reader.sized("policySignature");
    if (algorithm === ecdsa) reader.sized("policySignature");
    return signature;
  };
  return readStructure(signature, "policySignature", read, refuse);
}

function readDuplicationSelect(body: StructureReader, at: string): Step {
  const objectName = body.sized("objectName");
  const newParentName = body.sized("newParentName");
  const includesObject = yesNo(body, "includeObject");
  return { kind: "duplicationSelect", at, newParentName, ...(includesObject && { objectName }) };
}

function readOr(body: StructureReader): Step | Unsupported {
  const count = body.uint32("pHashList.count");
  if (count < 2 || count > 8) throw new StructureError("pHashList has not 2 to 8 digests");
  const digests = Array.from({ length: count }, () => body.sized("pHashList"));
  if (digests.some((digest) => digest.length !== 32))
    return unsupported("TPM2_PolicyOR with no SHA-256 digests");
  return { kind: "orOf", digests };
}
