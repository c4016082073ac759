import { type ChildProcess, fork } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { importTpmKey } from "aws-hmac";
import { startSwtpm } from "../test/support/swtpm.js";
import { message } from "./c-loop.js";
import { type Contender, compare } from "./measure.js";
import type { Part } from "./part.js";
import { printRates } from "./table.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const expected = createHmac("sha256", `AWS4${secret}`).update(message).digest("hex");
const password = "a password";
const handle = 0x81008001;

/** A process with the addon of build/Release, or with `PREBUILDS_ONLY=1` that of prebuilds/; in it a key with a salted, encrypted session. */
class Signing {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(tcti: string, environment: Record<string, string>): Promise<Signing> {
    const env = {
      ...process.env,
      ...environment,
      TPM_TCTI: tcti,
      TPM_HANDLE: String(handle),
      KEY_PASSWORD: password,
    };
    const signing = new Signing(fork(path.join(__dirname, "prebuilt-child.ts"), { env }));
    const { mac } = await signing.#answer();
    if (mac !== expected) throw new Error("another MAC");
    return signing;
  }

  async rate(seconds: number): Promise<number> {
    this.#child.send(seconds);
    const { rate } = await this.#answer();
    return Number(rate);
  }

  async stop(): Promise<void> {
    this.#child.disconnect();
    if (this.#child.exitCode === null) await once(this.#child, "exit");
  }

  async #answer(): Promise<{ mac?: string; rate?: number }> {
    const ended = once(this.#child, "exit").then(([code]) => {
      throw new Error(`the process that signs ended with ${code}`);
    });
    const [answer] = await Promise.race([once(this.#child, "message"), ended]);
    return answer;
  }
}

/** The encrypted session of the prebuilt addon, which has libtss2 4 in it, beside that of the system's libtss2. */
export const prebuilt: Part = async (effort) => {
  const folder = path.join(__dirname, "..", "prebuilds", `${process.platform}-${process.arch}`);
  if (!existsSync(folder)) throw new Error(`there is no ${folder}: npm run prebuild`);
  const { tcti, stop } = await startSwtpm();
  const processes: Signing[] = [];
  const contender = async (name: string, environment: Record<string, string>): Promise<Contender> => {
    const signing = await Signing.start(tcti, environment);
    processes.push(signing);
    return { name, run: (seconds) => signing.rate(seconds) };
  };
  try {
    await importTpmKey(Buffer.from(secret), { tcti, handle, auth: { password } });
    const system = await contender("aws-hmac, 64 in flight, the system's libtss2", {});
    const ours = await contender("aws-hmac, 64 in flight, prebuilt", { PREBUILDS_ONLY: "1" });
    const comparison = await compare([system, { ...ours, targets: [20] }], effort);
    printRates("TPM (swtpm), salted session, encrypted both ways: HMAC-SHA256 of 8 bytes", comparison);
  } finally {
    await Promise.all(processes.map((signing) => signing.stop()));
    await stop();
  }
};
