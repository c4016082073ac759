import { parseArgs } from "node:util";
import { flat } from "./flat.js";
import { memory } from "./memory.js";
import { networkHsm } from "./network-hsm.js";
import type { Part } from "./part.js";
import { pkcs11 } from "./pkcs11.js";
import { prebuilt } from "./prebuilt.js";
import { presign, sign } from "./sign.js";
import { start } from "./start.js";
import { tpm } from "./tpm.js";

const parts = new Map<string, Part[]>([
  ["tpm", [tpm]],
  ["pkcs11", [pkcs11, networkHsm]],
  ["memory", [memory]],
  ["sign", [presign, sign]],
  ["flat", [flat]],
  ["start", [start]],
  ["prebuilt", [prebuilt]],
]);

/** It needs `npm run prebuild`, which takes longer than all the others. */
const onlyIfAsked = "prebuilt";

const usage = `npm run bench -- [${[...parts.keys()].join("|")}…] [--seconds N] [--rounds N]`;

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: "string", default: "1" }, rounds: { type: "string", default: "5" } },
  });
  const effort = { seconds: Number(values.seconds), rounds: Number(values.rounds) };
  const chosen =
    positionals.length > 0 ? positionals : [...parts.keys()].filter((name) => name !== onlyIfAsked);
  if (!(effort.seconds > 0 && effort.rounds >= 1) || chosen.some((name) => !parts.has(name))) {
    throw new Error(usage);
  }
  console.log(`${effort.rounds} rounds of ${effort.seconds} s each, by turns; delays in milliseconds`);
  for (const part of chosen.flatMap((name) => parts.get(name) ?? [])) await part(effort);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
