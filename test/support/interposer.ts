import {
  constants,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto";
import { codeOf, type Relay, relay } from "./relay.js";

/** Somebody between a program and its TPM who gives out a key of their own as one of the TPM's. */
export interface Interposer extends Relay {
  /** The salts of the sessions that were started through it, which the TPM alone should know. */
  salts: Buffer[];
  stop(): Promise<void>;
}

/** How the TPM's answers are altered: always the area, and with it the name unless that is kept. */
export interface Forgery {
  keepName?: boolean;
  /** Alters the first answer only. */
  once?: boolean;
}

/** TPM_CC (TCG TPM 2.0 Part 2, 6.5.2). */
export const commands = {
  evictControl: 0x120,
  createPrimary: 0x131,
  sequenceComplete: 0x13e,
  create: 0x153,
  hmac: 0x155,
  load: 0x157,
  hmacStart: 0x15b,
  sequenceUpdate: 0x15c,
  flushContext: 0x165,
  readPublic: 0x173,
  startAuthSession: 0x176,
  getCapability: 0x17a,
  pcrRead: 0x17e,
} as const;

/** TPM_RH_NULL, where a session has no salt. */
const nullHandle = 0x40000007;

/**
 * Stands in the way to `tcti`, as `startSwtpm` gives it.
 *
 * @param genuine the marshalled TPM2B_PUBLIC of an RSA key with SHA-256 as name algorithm, or of a P-256 key, that is replaced
 * @param publicKey the same key; an RSA key's salts are read and encrypted again, so that nobody notices
 */
export async function interpose(
  tcti: string,
  genuine: Buffer,
  publicKey: KeyObject,
  { keepName = false, once = false }: Forgery = {},
): Promise<Interposer> {
  const isRsa = publicKey.asymmetricKeyType === "rsa";
  const own = isRsa
    ? generateKeyPairSync("rsa", { modulusLength: 2048 })
    : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const forged = replaced(genuine, material(publicKey), material(own.publicKey));
  const salts: Buffer[] = [];
  let forgeries = 0;
  const toTpm = (command: Buffer): Buffer => {
    const isSalted = codeOf(command) === commands.startAuthSession && command.readUInt32BE(10) !== nullHandle;
    if (!isSalted || !isRsa) return command;
    const start = 20 + command.readUInt16BE(18); // after tpmKey, bind and nonceCaller
    const encrypted = command.subarray(start + 2, start + 2 + command.readUInt16BE(start));
    const how = {
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: "sha256",
      oaepLabel: Buffer.from("SECRET\0"),
    };
    const salt = privateDecrypt({ key: own.privateKey, ...how }, encrypted);
    salts.push(salt);
    return replaced(command, encrypted, publicEncrypt({ key: publicKey, ...how }, salt));
  };
  const toProgram = (answer: Buffer): Buffer => {
    if (!answer.includes(genuine) || (once && forgeries > 0)) return answer;
    forgeries++;
    const altered = replaced(answer, genuine, forged);
    return keepName ? altered : replaced(altered, digest(genuine), digest(forged));
  };
  const wire = await relay(tcti);
  wire.answer(async (command, ask) => toProgram(await ask(toTpm(command))));
  return { ...wire, salts };
}

/** What makes one key another: an RSA key's modulus, or an ECC key's x and y as they lie in a public area. */
function material(key: KeyObject): Buffer {
  const { n, x = "", y = "" } = key.export({ format: "jwk" });
  if (n !== undefined) return Buffer.from(n, "base64url");
  const size = Buffer.of(0, 32);
  return Buffer.concat([Buffer.from(x, "base64url"), size, Buffer.from(y, "base64url")]);
}

const digest = (area: Buffer): Buffer => createHash("sha256").update(area.subarray(2)).digest();

/** A copy of `bytes` in which `from` gave way to `to`, which is as long. */
function replaced(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const start = copy.indexOf(from);
  if (start < 0 || from.length !== to.length) throw new Error("nothing to replace");
  to.copy(copy, start);
  return copy;
}
