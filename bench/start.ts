import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { importTpmKey } from "aws-hmac";
import { addOwnBuild, installPacked, pack } from "../test/support/packed.js";
import { temporaryFolder } from "../test/support/process.js";
import { startSwtpm } from "../test/support/swtpm.js";
import { type Contender, compare } from "./measure.js";
import type { Part } from "./part.js";
import { printRates } from "./table.js";

const handle = 0x81008001;
const url = "https://bucket.s3.eu-central-1.amazonaws.com/report.pdf";

/** A program that opens a TPM key, presigns one URL and ends. */
const program = (load: string): string => `${load}
const main = async () => {
  const key = await openTpmKey({ tcti: process.env.TPM_TCTI, handle: ${handle}, auth: { password: "a password" } });
  const signer = new HmacSigner({ key, accessKeyId: "AKIAIOSFODNN7EXAMPLE", region: "eu-central-1", service: "s3" });
  console.log(await signer.presignUrl("${url}"));
  await key.close();
};
main();
`;

/** Whole processes: from the start of Node, on an empty project with the package in it, to the end. */
export const start: Part = async (effort) => {
  const { folder, remove } = temporaryFolder("start");
  const { tcti, stop } = await startSwtpm();
  try {
    const addon = addOwnBuild(await installPacked((await pack(folder)).tarball, folder));
    writeFileSync(
      path.join(folder, "sign.cjs"),
      program('const { HmacSigner, openTpmKey } = require("aws-hmac");'),
    );
    writeFileSync(
      path.join(folder, "sign.mjs"),
      program('import { HmacSigner, openTpmKey } from "aws-hmac";'),
    );
    await importTpmKey(Buffer.from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {
      ...{ tcti, handle },
      auth: { password: "a password" },
    });
    const options = { cwd: folder, env: { ...process.env, TPM_TCTI: tcti } };
    const node = (name: string, args: string[], output: RegExp, targets?: number[]): Contender => ({
      name,
      run: (seconds) => starts(args, options, output, seconds),
      ...(targets && { targets }),
    });
    const signature = /X-Amz-Signature=[0-9a-f]{64}\n$/;
    const comparison = await compare(
      [
        node("node -e 0", ["-e", "0"], /^$/),
        node('node -e "require(…)"', ["-e", 'require("aws-hmac")'], /^$/),
        node("first TPM signature, require", ["sign.cjs"], signature, [0.4]),
        node("first TPM signature, import", ["sign.mjs"], signature, [0.4]),
      ],
      effort,
    );
    printRates(`Processes to their end, one after the other, with the ${addon} of the addon`, comparison);
  } finally {
    await stop();
    remove();
  }
};

/** Runs Node with `args` for `seconds`, one process after the other, and gives processes a second. */
async function starts(
  args: string[],
  options: { cwd: string; env: NodeJS.ProcessEnv },
  output: RegExp,
  seconds: number,
): Promise<number> {
  let count = 0;
  const begin = performance.now();
  do {
    const { stdout } = await promisify(execFile)(process.execPath, args, options);
    if (!output.test(stdout)) throw new Error(`node ${args.join(" ")}: ${stdout}`);
    count++;
  } while (performance.now() - begin < seconds * 1000);
  return (count * 1000) / (performance.now() - begin);
}
