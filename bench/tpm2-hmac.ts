import { writeFileSync } from "node:fs";
import path from "node:path";
import { runTool, temporaryFolder } from "../test/support/process.js";
import { message } from "./c-loop.js";

/** What a script does: one process of tpm2-tools' `tpm2_hmac` after the other. Gives MACs a second. */
export async function runTpm2Hmac(
  tcti: string,
  handle: number,
  { password, mac, seconds }: { password: string; mac: Uint8Array; seconds: number },
): Promise<number> {
  const { folder, remove } = temporaryFolder("tpm2-hmac");
  try {
    const files = { message: path.join(folder, "message"), password: path.join(folder, "password") };
    writeFileSync(files.message, message);
    writeFileSync(files.password, password);
    const args = ["-T", tcti, "-c", String(handle), "-p", `file:${files.password}`, "--hex", files.message];
    const expected = Buffer.from(mac).toString("hex");
    const begin = performance.now();
    let macs = 0;
    for (; performance.now() - begin < seconds * 1000; macs++) {
      const answer = (await runTool("tpm2_hmac", args)).trim();
      if (answer !== expected) throw new Error(`tpm2_hmac: another MAC: ${answer}`);
    }
    return (macs * 1000) / (performance.now() - begin);
  } finally {
    remove();
  }
}
