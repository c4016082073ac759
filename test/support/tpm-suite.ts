import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import path from "node:path";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import { openTpmKey, type TpmKeyOptions } from "../../lib/keys/tpm.js";
import { temporaryFolder } from "./process.js";
import { type Swtpm, startSwtpm } from "./swtpm.js";

export const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
export const password = "correct horse battery staple";
export const handle = 0x81008001;
/** What SigV4 asks a key. */
export const day = Buffer.from("20261123");

/** The MAC that a key made of this secret must give, in hexadecimal, by node:crypto. */
export const expected = (message: Uint8Array, secretAccessKey = secret): string =>
  createHmac("sha256", `AWS4${secretAccessKey}`).update(message).digest("hex");

/** The MAC that a key gives, in hexadecimal. */
export const macOf = async (key: HmacKey, message: Uint8Array): Promise<string> =>
  Buffer.from(await key.mac(message)).toString("hex");

/** A software TPM for the tests of one suite, and tpm2-tools on it. */
export interface TpmSuite {
  readonly tpm: Swtpm;
  readonly tcti: string;
  /** Opens a key that is closed when the test ends. */
  open(options: TpmKeyOptions): Promise<HmacKey>;
  /** A path in a folder of the suite's own, where the tools run. */
  file(name: string): string;
  /** What one of tpm2-tools prints. */
  tool(program: string, ...args: string[]): string;
  /** Without a resource manager tpm2-tools leave their objects in the TPM, and tpm2_encodeobject its session. */
  toolAndFlush(program: string, ...args: string[]): void;
  /** Makes primary.ctx, the owner hierarchy's H-2 primary. */
  makePrimary(): void;
}

/** Gives a suite a TPM, as `startSwtpm` does; after each of its tests nothing of ours may be left in it. */
export function tpmSuite(state?: string): TpmSuite {
  let running: Swtpm | undefined;
  let keys: HmacKey[] = [];
  const { folder, remove } = temporaryFolder("tpm-test");
  const suite: TpmSuite = {
    get tpm() {
      if (!running) throw new Error("the TPM is started before the first test");
      return running;
    },
    get tcti() {
      return suite.tpm.tcti;
    },
    async open(options) {
      const key = await openTpmKey({ tcti: suite.tcti, ...options });
      keys.push(key);
      return key;
    },
    file: (name) => path.join(folder, name),
    tool: (program, ...args) =>
      execFileSync(program, ["-T", suite.tcti, ...args], {
        ...{ cwd: folder, encoding: "utf8", stdio: "pipe", timeout: 30_000 },
      }),
    toolAndFlush(program, ...args) {
      suite.tool(program, ...args);
      suite.tool("tpm2_flushcontext", "-t");
      suite.tool("tpm2_flushcontext", "-l");
    },
    makePrimary() {
      const attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
      suite.toolAndFlush("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "primary.ctx", "-a", attributes);
    },
  };
  const leftovers = (): string =>
    ["handles-transient", "handles-loaded-session", "handles-saved-session"]
      .map((kind) => suite.tool("tpm2_getcap", kind))
      .join("");

  beforeAll(async () => {
    running = await startSwtpm(state);
  });
  afterAll(async () => {
    await running?.stop();
    remove();
  });
  afterEach(async () => {
    await Promise.all(keys.map((key) => key.close()));
    keys = [];
    expect(leftovers()).toBe("");
    suite.tool("tpm2_dictionarylockout", "--clear-lockout"); // a TPM that loses its power counts that as a wrong password
  });
  return suite;
}
