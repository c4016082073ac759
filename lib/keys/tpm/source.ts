import { readFile } from "node:fs/promises";
import type { NativeTpmBlobs, NativeTpmLoad, NativeTpmParentAuth } from "../../binding/native-tpm.js";
import { AwsHmacError } from "../../core/errors.js";
import { invalid } from "../../core/validate.js";
import { parseTpmContext } from "./context-file.js";
import { persistentHandle } from "./options.js";
import { type TpmParent, type TpmParentAuth, tpmParent } from "./parent.js";
import type { PolicyWay } from "./policy/native.js";
import { parseTss2Pem, requireSized } from "./tss2-pem.js";

/** The two files that `tpm2_create` and `tpm2_import` write: their bytes, or their paths. */
export interface TpmBlobs {
  /** The public part (`-u`, `--public`): a marshalled TPM2B_PUBLIC. */
  publicArea: Uint8Array | string;
  /** The private part (`-r`, `--private`), encrypted by the parent: a marshalled TPM2B_PRIVATE. */
  privateArea: Uint8Array | string;
}

/** Where a key is: exactly one of `handle`, `pem`, `pemFile`, `contextFile` and `blobs` is needed. */
export interface TpmKeySource {
  /** The key's persistent handle, 0x81000000..0x81FFFFFF. */
  handle?: number | undefined;
  /** A TPM key file's text: `-----BEGIN TSS2 PRIVATE KEY-----`, as `importTpmKey` and tpm2-tools write it. */
  pem?: string | undefined;
  /** Path of such a file. */
  pemFile?: string | undefined;
  /** Path of a context file of tpm2-tools (`tpm2_load -c`); good until the TPM is reset. */
  contextFile?: string | undefined;
  /** A public and a private part, as tpm2-tools write them. */
  blobs?: TpmBlobs | undefined;
  /** The parent of a PEM or of blobs: by default the one that the PEM names, and `owner` for blobs. */
  parent?: TpmParent | undefined;
  /** Needed where the parent or its hierarchy has a password. */
  parentAuth?: TpmParentAuth | undefined;
}

/** A key's place as the addon takes it, without the passwords above the key. */
export type TpmPlace =
  | { handle: number }
  | { context: Uint8Array }
  | Omit<NativeTpmLoad, keyof NativeTpmParentAuth>;

/** Where a key is, and what satisfies its policy where its file says that and a password alone does not open it. */
export interface LocatedTpmKey {
  place: TpmPlace;
  policies?: PolicyWay[];
}

const places = ["handle", "pem", "pemFile", "contextFile", "blobs"] as const;

/**
 * Reads the files that say where a key is.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_KEY_NOT_FOUND` of a file that cannot be read, `ERR_PEM_INVALID`,
 *   `ERR_TPM_FILE_INVALID`
 */
export async function locateTpmKey(source: TpmKeySource): Promise<LocatedTpmKey> {
  if (places.filter((place) => source[place] !== undefined).length !== 1) {
    throw invalid(`exactly one of ${places.join(", ")} must say where the key is`);
  }
  const { handle, pem, pemFile, contextFile, blobs } = source;
  const parent = source.parent === undefined ? undefined : tpmParent(source.parent);
  if (blobs !== undefined) {
    return { place: { ...(parent ?? tpmParent("owner")), ...(await readBlobs(blobs)) } };
  }
  if (pem !== undefined || pemFile !== undefined) {
    const { policies, ...key } = await readPem(pem, pemFile);
    const place = { ...key, ...parent };
    return policies !== undefined && wantsPolicy(key.publicArea) ? { place, policies } : { place };
  }
  if (parent || source.parentAuth !== undefined) {
    throw invalid("parent and parentAuth are for pem, pemFile and blobs: other keys are loaded already");
  }
  if (handle !== undefined) return { place: { handle: persistentHandle(handle, 0x81ffffff) } };
  return { place: { context: parseTpmContext(await readKeyFile("contextFile", contextFile)) } };
}

/** Whether userWithAuth (TCG TPM 2.0 Part 2, 8.3) is not set in a marshalled TPM2B_PUBLIC: size, type, nameAlg, attributes. */
function wantsPolicy(publicArea: Uint8Array): boolean {
  return publicArea.length >= 10 && ((publicArea[9] ?? 0) & 0x40) === 0;
}

async function readPem(pem: unknown, file: unknown): Promise<ReturnType<typeof parseTss2Pem>> {
  const text = pem ?? (await readKeyFile("pemFile", file)).toString("latin1");
  if (typeof text !== "string") throw invalid("pem must be a string");
  return parseTss2Pem(text);
}

async function readBlobs(blobs: TpmBlobs): Promise<NativeTpmBlobs> {
  return {
    publicArea: await readBlob("blobs.publicArea", blobs?.publicArea),
    privateArea: await readBlob("blobs.privateArea", blobs?.privateArea),
  };
}

async function readBlob(option: string, blob: unknown): Promise<Buffer> {
  if (!(blob instanceof Uint8Array) && typeof blob !== "string") {
    throw invalid(`${option} must be a Uint8Array or a path`);
  }
  const bytes = typeof blob === "string" ? await readKeyFile(option, blob) : Buffer.from(blob);
  return requireSized(bytes, (what) => new AwsHmacError("ERR_TPM_FILE_INVALID", `${option} ${what}`));
}

async function readKeyFile(option: string, file: unknown): Promise<Buffer> {
  if (typeof file !== "string" || file === "" || file.includes("\0"))
    throw invalid(`${option} must be a path`);
  try {
    return await readFile(file);
  } catch (cause) {
    throw new AwsHmacError("ERR_KEY_NOT_FOUND", `${option} ${file} cannot be read`, { cause });
  }
}
