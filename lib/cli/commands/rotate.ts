import { Command } from "commander";
import { AwsHmacError } from "../../core/errors.js";
import { invalid } from "../../core/validate.js";
import { Unconfirmed } from "../failure.js";
import { Iam } from "../iam.js";
import { type IamEndpoint, iamEndpoint } from "../iam-endpoint.js";
import { type ImportFlags, importTarget, withImportOptions } from "../importer.js";
import { type KeyFlags, openReference, withSigningOptions } from "../key-options.js";
import { wholeNumber } from "../numbers.js";
import { say, write, writeJson } from "../output.js";
import { isFree, placeBeside, withoutPin } from "../place-beside.js";
import { Rotation } from "../rotation.js";
import { RotationFile, type RotationState } from "../rotation-state.js";
import { Settings } from "../settings.js";
import { confirm } from "../terminal.js";

interface Flags extends ImportFlags, KeyFlags {
  to?: string;
  iamEndpoint?: string;
  wait: number;
  stateFile?: string;
  yes?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

const examples = `
The old key signs the call that makes the new one, whose secret goes from IAM's answer into the device.
Then the new key proves itself to IAM, and deactivates and deletes the old one, each once you say so.
Whatever ends it half-way, the same command goes on; without --yes it may as well wait there until
your programs use the new key. The user needs iam:ListAccessKeys, CreateAccessKey, UpdateAccessKey and
DeleteAccessKey for itself, and should have GetAccessKeyLastUsed.

Examples:
  aws-hmac rotate --profile signer --dry-run
  aws-hmac rotate -k tpm:0x81008001 -i AKIAIOSFODNN7EXAMPLE
  aws-hmac rotate --profile signer --to tpm:0x81008002 --yes --json`;

/** `aws-hmac rotate`: another access key for the user, whose secret only the device has. */
export function rotateCommand(): Command {
  const command = new Command("rotate")
    .summary("replace an access key by a new one")
    .description("Make a new access key of the IAM user, put it into a device, and take the old one away.");
  return withImportOptions(withSigningOptions(command))
    .option(
      "--to <reference>",
      "where the new key goes; by default beside the old one: the next handle or name",
    )
    .option("--iam-endpoint <url>", "IAM's endpoint, where it is not that of the region's partition")
    .option("--wait <seconds>", "how long IAM may take to know the new key", wholeNumber, 120)
    .option("--state-file <path>", "where it is noted how far the rotation came, without secrets")
    .option("-y, --yes", "deactivate and delete the old access key without asking")
    .option("--dry-run", "look at everything and change nothing")
    .option("--json", "print the outcome as JSON")
    .addHelpText("after", examples)
    .action((flags: Flags) => rotate(flags));
}

async function rotate(flags: Flags): Promise<void> {
  const settings = new Settings(flags);
  const [oldKey, oldAccessKeyId] = [await settings.require("key"), await settings.require("accessKeyId")];
  if (!/^\w{16,128}$/.test(oldAccessKeyId))
    throw invalid("--access-key-id must be 16 to 128 letters, digits or _");
  const endpoint = await iamEndpoint(settings);
  const file = await RotationFile.open(oldAccessKeyId, flags.stateFile);
  try {
    const noted = await file.read();
    if (noted && noted.oldAccessKeyId !== oldAccessKeyId) {
      throw new AwsHmacError("ERR_ROTATION", `${file.path} is of the rotation of ${noted.oldAccessKeyId}`);
    }
    if (noted && flags.to !== undefined && withoutPin(flags.to) !== noted.to) {
      throw invalid(`--to: this rotation goes to ${noted.to} already, as ${file.path} says`);
    }
    if (noted) say(`going on behind step "${noted.step}", which ${file.path} notes`);
    const state = noted ?? (await begin(oldKey, oldAccessKeyId, endpoint, flags));
    if (flags.dryRun) return await tell({ ...state, dryRun: true }, flags);
    const agree = async (question: string): Promise<void> => {
      if (flags.yes || (await confirm(question, "--yes"))) return;
      throw new Unconfirmed("stopped there; the same command goes on");
    };
    const patience = flags.wait * 1000;
    const rotation = new Rotation({ file, endpoint, oldKey, flags, patience, agree }, state);
    try {
      await rotation.run();
    } finally {
      if (rotation.outcome.reference !== undefined) await tell(rotation.outcome, flags);
    }
  } finally {
    file.close();
  }
}

/** Looks whether there is room for a new key, in IAM and in the device. */
async function begin(
  oldKey: string,
  oldAccessKeyId: string,
  endpoint: IamEndpoint,
  flags: Flags,
): Promise<RotationState> {
  const startedAt = new Date().toISOString();
  const key = await openReference(oldKey, flags);
  const iam = new Iam(key, oldAccessKeyId, endpoint, flags.timeout);
  try {
    const keys = await iam.list();
    const others = keys.filter(({ id }) => id !== oldAccessKeyId);
    if (others.length === keys.length) {
      throw new AwsHmacError(
        "ERR_ROTATION",
        `IAM does not list ${oldAccessKeyId} among the user's access keys: check the endpoint`,
      );
    }
    const [other] = others;
    if (other) {
      throw new AwsHmacError(
        "ERR_ROTATION",
        `the user has the access key ${other.id} too, and IAM allows no third: delete the one that nobody uses, or go on with its rotation`,
      );
    }
  } finally {
    await iam.close();
    await key.close();
  }
  const wanted = flags.to ?? (flags.replace || flags.newVersion ? placeOf(oldKey) : undefined);
  const to = withoutPin(wanted ?? (await placeBeside(oldKey, flags)));
  importTarget(to, flags);
  if (!flags.replace && !flags.newVersion && !(await isFree(to, flags))) {
    throw new AwsHmacError(
      "ERR_KEY_EXISTS",
      `there is a key at ${to} already: choose another place, or --replace it`,
    );
  }
  return { step: "creating", oldAccessKeyId, startedAt, to };
}

/** The place of a key without a version of it. */
function placeOf(reference: string): string {
  return reference.startsWith("vault:")
    ? reference.replace(/([?&])version=\d+(&|$)/, (_, before, after) => (after ? before : ""))
    : reference;
}

function tell(
  outcome: Partial<RotationState> & { dryRun?: boolean; oldKey?: string },
  { json }: Flags,
): Promise<void> {
  if (json) {
    const { newAccessKeyId: accessKeyId, ...rest } = outcome;
    return writeJson({ ...(accessKeyId !== undefined && { accessKeyId }), ...rest });
  }
  if (outcome.dryRun) {
    const next =
      outcome.step === "creating"
        ? "a new access key would be made"
        : `the rotation would go on behind step "${outcome.step}"`;
    return write(`${next}; the place of the new key: ${outcome.reference ?? outcome.to}\n`);
  }
  return write(`aws_hmac_access_key_id = ${outcome.newAccessKeyId}\naws_hmac_key = ${outcome.reference}\n`);
}
