import { execFile } from "node:child_process";
import path from "node:path";

/** What every MAC here is of: eight bytes, as SigV4's day is. `bench/native/loop.c` knows it too. */
export const message = Buffer.from("20261123");

/**
 * Runs a C loop of bench/native for `seconds` and gives MACs a second.
 *
 * @param password a password or PIN, sent on standard input
 * @param mac what the device must answer to `message`: a loop over another key would compare nothing
 */
export function runLoop(
  program: "tpm_loop" | "pkcs11_loop",
  args: string[],
  { password, mac, seconds }: { password: string; mac: Uint8Array; seconds: number },
): Promise<number> {
  const file = path.join(__dirname, "..", "build", "bench", program);
  return new Promise((resolve, reject) => {
    const child = execFile(file, [...args, String(seconds)], (error, stdout, stderr) => {
      if (error) return reject(new Error(`${program}: ${stderr.trim() || error.message}`));
      const [rate, answer] = stdout.trim().split(" ");
      if (answer !== Buffer.from(mac).toString("hex")) return reject(new Error(`${program}: another MAC`));
      resolve(Number(rate));
    });
    child.stdin?.end(`${password}\n`);
  });
}
