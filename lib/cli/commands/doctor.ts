import { Command } from "commander";
import type { HmacKey } from "../../core/hmac-key.js";
import { type Finding, ok, problem, warning } from "../doctor/finding.js";
import { tctiOfKey, tryKey } from "../doctor/key.js";
import { configuredTokens } from "../doctor/pkcs11.js";
import { software } from "../doctor/software.js";
import { sts } from "../doctor/sts.js";
import { tpms } from "../doctor/tpm.js";
import { CommandFailure, exitCodes } from "../failure.js";
import { type KeyFlags, withSigningOptions } from "../key-options.js";
import { writeJson, writeTable } from "../output.js";
import { Settings } from "../settings.js";

interface Flags extends KeyFlags {
  sts?: boolean;
  json?: boolean;
}

const examples = `
Examples:
  aws-hmac doctor
  aws-hmac doctor --profile signer --sts
  aws-hmac doctor --json pkcs11:token=aws;object=signer tpm:0x81008001`;

/** `aws-hmac doctor`: what there is, what is wrong with it, and what to do about it. */
export function doctorCommand(): Command {
  return withSigningOptions(new Command("doctor"))
    .summary("look for what is wrong, and say what to do")
    .description(
      "Look at the software, TPMs, PKCS#11 tokens and the key, sign a test string, and say what to do about each finding. Nothing is changed, and " +
        "no PIN or password tried that could lock a device. Exit code 1 where there is a problem.",
    )
    .argument("[references...]", "keys to look at besides the one that the settings name")
    .option("--sts", "ask STS who signs (GetCallerIdentity), and compare its clock")
    .option("--json", "print JSON")
    .addHelpText("after", examples)
    .action((references: string[], flags: Flags) => doctor(references, flags));
}

async function doctor(references: readonly string[], flags: Flags): Promise<void> {
  const findings = unique(await examine(references, flags));
  if (flags.json) await writeJson({ findings });
  else await writeTable(["state", "what", "found"], findings.flatMap(rows));
  const problems = findings.filter(({ state }) => state === "problem").length;
  if (problems > 0) {
    throw new CommandFailure(
      problems === 1 ? "there is a problem" : `there are ${problems} problems`,
      exitCodes.failed,
    );
  }
}

async function examine(references: readonly string[], flags: Flags): Promise<Finding[]> {
  const settings = new Settings(flags);
  const own = await settings.find("key");
  const keys = [
    ...(own ? [["key", own] as const] : []),
    ...references.map((one, n) => [`key ${n + 1}`, one] as const),
  ];
  const findings = await software();
  const tctis = keys.flatMap(([, reference]) => tctiOfKey(reference) ?? []);
  findings.push(...(await tpms({ wanted: new Set(tctis), timeout: flags.timeout })));
  findings.push(...(await configuredTokens(flags.timeout)));
  if (keys.length === 0) {
    const remedy = "give --key, set AWS_HMAC_KEY, or write aws_hmac_key into a profile of ~/.aws/config";
    findings.push(warning("key", "none is configured", remedy));
  }
  for (const [name, reference] of keys) {
    const { findings: about, key } = await tryKey(name, reference, flags);
    findings.push(...about);
    try {
      if (key && name === "key") findings.push(...(await signer(key, settings, flags)));
    } finally {
      await key?.close();
    }
  }
  if (flags.sts && !own) {
    findings.push(problem("STS", "not asked: no key is configured", "give --key, or set AWS_HMAC_KEY"));
  }
  return findings;
}

/** Who signs with the key, and where. */
async function signer(key: HmacKey, settings: Settings, flags: Flags): Promise<Finding[]> {
  const [accessKeyId, region] = [await settings.find("accessKeyId"), await settings.find("region")];
  const missing = (name: string, remedy: string): Finding =>
    (flags.sts ? problem : warning)(name, "not configured", remedy);
  const findings: Finding[] = [
    accessKeyId
      ? ok("access key id", accessKeyId)
      : missing("access key id", "give --access-key-id, or set AWS_HMAC_ACCESS_KEY_ID"),
    region ? ok("region", region) : missing("region", "give --region, or set AWS_REGION"),
  ];
  if (!flags.sts || !accessKeyId || !region) return findings;
  return [...findings, ...(await sts({ key, accessKeyId, region, timeout: flags.timeout }))];
}

/** A token can be the key's and p11-kit's, and several keys be in one place. */
function unique(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}

function rows({ state, what, found, remedy }: Finding): string[][] {
  return [[state, what, found], ...(remedy ? [["", "", `-> ${remedy}`]] : [])];
}
