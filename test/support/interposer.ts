import {
  constants,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from "node:crypto";
import { connect, createServer, type Socket } from "node:net";
import { close, freePorts, listen } from "./ports.js";

/** Somebody between a program and its TPM who gives out a key of their own as one of the TPM's. */
export interface Interposer {
  /** The TCTI string that leads through it. */
  tcti: string;
  /** The salts of the sessions that were started through it, which the TPM alone should know. */
  salts: Buffer[];
  /** The command codes that passed. */
  commands: number[];
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
  createPrimary: 0x131,
  create: 0x153,
  hmac: 0x155,
  load: 0x157,
  readPublic: 0x173,
  startAuthSession: 0x176,
  getCapability: 0x17a,
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
  const passed: number[] = [];
  let forgeries = 0;
  const toTpm = (command: Buffer): Buffer => {
    const code = command.readUInt32BE(6);
    passed.push(code);
    const isSalted = code === commands.startAuthSession && command.readUInt32BE(10) !== nullHandle;
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
  const target = Number(/port=(\d+)/.exec(tcti)?.[1]);
  const port = await freePorts(2);
  const servers = await Promise.all([
    listen(
      createServer((near) => relay(near, connect(target, "127.0.0.1"), toTpm, toProgram)),
      port,
    ),
    listen(
      createServer((near) => relay(near, connect(target + 1, "127.0.0.1"))),
      port + 1,
    ),
  ]);
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    salts,
    commands: passed,
    async stop() {
      await Promise.all(servers.map(close));
    },
  };
}

type Alter = (message: Buffer) => Buffer;

/** Passes on what two ends say to each other, whole TPM messages where they are to be altered. */
function relay(near: Socket, far: Socket, toFar?: Alter, toNear?: Alter): void {
  const pass = (from: Socket, to: Socket, alter?: Alter): void => {
    let kept = Buffer.alloc(0);
    from.on("data", (bytes: Buffer) => {
      if (!alter) return to.write(bytes);
      kept = Buffer.concat([kept, bytes]);
      while (kept.length >= 6 && kept.length >= kept.readUInt32BE(2)) {
        const size = kept.readUInt32BE(2);
        to.write(alter(kept.subarray(0, size)));
        kept = kept.subarray(size);
      }
    });
    from.once("end", () => to.end());
    from.once("error", () => to.destroy());
    from.once("close", () => to.destroy());
  };
  pass(near, far, toFar);
  pass(far, near, toNear);
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
