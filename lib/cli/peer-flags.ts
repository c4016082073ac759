import path from "node:path";
import process from "node:process";
import { type Command, InvalidArgumentError, Option } from "commander";
import { invalid } from "../core/validate.js";
import type { OpenKeyOptions } from "../keys/open-key.js";
import type { TpmPolicyStep } from "../keys/tpm/policy/policy.js";
import { policyOf } from "./key-options.js";
import { say } from "./output.js";
import { peerPkcs11Uri } from "./peer-uri.js";
import type { Settings } from "./settings.js";
import type { StsFlags } from "./sts-options.js";

/** What the flags of {@link withPeerOptions} say. */
export interface PeerFlags {
  tpmPath?: string;
  persistentHandle?: number;
  credentialFile?: string;
  keyPass?: string;
  parentPass?: string;
  useEKParent?: boolean;
  tpmSessionEncryptWithName?: string;
  pkcsUri?: string;
  awsArn?: string;
  awsRegion?: string;
  awsAccessKeyId?: string;
  awsSessionName?: string;
  assumeRole?: boolean;
}

const makeOptions = (): Option[] => [
  new Option("--tpm-path <path>"),
  new Option("--persistentHandle <handle>").argParser(goInteger),
  new Option("--credential-file <path>"),
  new Option("--keyPass <password>"),
  new Option("--parentPass <password>"),
  new Option("--useEKParent <bool>").argParser(goBoolean),
  new Option("--tpm-session-encrypt-with-name <hex>"),
  new Option("--pkcs-uri <uri>"),
  new Option("--aws-arn <arn>"),
  new Option("--aws-region <region>"),
  new Option("--aws-access-key-id <id>"),
  new Option("--aws-session-name <name>"),
  new Option("--assumeRole <bool>").argParser(goBoolean),
];
/** Spelled the same as flags of ours. */
const shared = ["duration", "pcrs", "timeout"];
const booleans = ["useEKParent", "assumeRole"];
const defaultHandle = 0x81008003;

/**
 * Adds the flags of aws-tpm-process-credential and aws-pkcs-process-credential (github.com/salrashid123), with their meanings:
 * profiles that were written for them work as they are. The help does not list them.
 */
export function withPeerOptions(command: Command): Command {
  for (const option of makeOptions()) command.addOption(option.hideHelp());
  return command;
}

/** Arguments with the peers' flags as Go takes them (`-flag`, `-flag=value`; `-bool` for true) in the spelling that commander takes. */
export function withoutGoSpelling(args: readonly string[]): string[] {
  const names = [...makeOptions().map((option) => option.name()), ...shared];
  const result: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string;
    const [, name, value] = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === undefined || !names.includes(name)) result.push(arg);
    else if (value !== undefined) result.push(`--${name}=${value}`);
    else if (booleans.includes(name)) result.push(`--${name}=true`);
    else result.push(`--${name}`, ...args.slice(++at, at + 1));
  }
  return result;
}

/**
 * The peers' flags as ours, and what opens the key besides; undefined where there are none. A secret among them is told of on
 * stderr.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export async function readPeerFlags(
  flags: StsFlags & PeerFlags,
  settings: Settings,
): Promise<{ flags: StsFlags; open: OpenKeyOptions } | undefined> {
  if (!makeOptions().some((option) => option.attributeName() in flags)) return undefined;
  const { awsArn, awsRegion, awsAccessKeyId, awsSessionName, assumeRole = false, pkcsUri } = flags;
  if (assumeRole && !awsArn) throw invalid("--assumeRole needs --aws-arn");
  const isOfTpm = pkcsUri === undefined && !(await isNamedOtherwise(flags, settings));
  const key = pkcsUri !== undefined ? peerPkcs11Uri(pkcsUri) : isOfTpm ? tpmReference(flags) : undefined;
  if (/[?&]pin-value=/.test(pkcsUri ?? "")) tellOfSecret("the PIN in --pkcs-uri", "pin-source=file:…");
  const { pcrs: _, ...rest } = flags;
  const ours: StsFlags = {
    ...(isOfTpm ? rest : flags),
    roleArn: assumeRole ? (awsArn as string) : "",
    ...(awsRegion !== undefined && { region: awsRegion }),
    ...(awsAccessKeyId !== undefined && { accessKeyId: awsAccessKeyId }),
    ...(assumeRole && awsSessionName !== undefined && { sessionName: awsSessionName }),
    ...(key !== undefined && { key }),
    ...(flags.timeout !== undefined && { timeout: flags.timeout * 1000 }), // theirs are seconds
  };
  return { flags: ours, open: isOfTpm ? tpmOptions(flags) : {} };
}

/** Whether the key is named in our own way, besides the peers' flags for the rest. */
async function isNamedOtherwise(flags: PeerFlags, settings: Settings): Promise<boolean> {
  const isNamed = flags.persistentHandle !== undefined || flags.credentialFile !== undefined;
  return !isNamed && (await settings.find("key")) !== undefined;
}

function tpmReference({ credentialFile, persistentHandle = defaultHandle }: PeerFlags): string {
  return credentialFile ? path.resolve(credentialFile) : `tpm:0x${persistentHandle.toString(16)}`;
}

function tpmOptions(flags: StsFlags & PeerFlags): OpenKeyOptions {
  const { tpmPath = "/dev/tpmrm0", credentialFile, useEKParent = false } = flags;
  const name = flags.tpmSessionEncryptWithName;
  if (flags.keyPass) tellOfSecret("--keyPass", "TPM_KEY_AUTH or --password-file");
  if (flags.parentPass) tellOfSecret("--parentPass", "TPM_PARENT_AUTH");
  const password = flags.keyPass || process.env.TPM_KEY_AUTH || undefined;
  const ofParent = flags.parentPass || process.env.TPM_PARENT_AUTH || undefined;
  const [pcrs] = policyOf(flags, false) ?? [];
  const byPassword = useEKParent && password !== undefined;
  const step: TpmPolicyStep | undefined = pcrs ?? (byPassword ? { authValue: true } : undefined);
  return {
    tcti: tctiOf(tpmPath),
    ...(password !== undefined && !pcrs && { auth: { password } }),
    ...(step && { policy: useEKParent ? [{ or: [[step], [duplicatedTo(name, ofParent)]] }] : [step] }),
    ...(credentialFile && useEKParent && { parent: "ek-rsa" as const }),
    ...(credentialFile &&
      ofParent !== undefined && {
        parentAuth: useEKParent ? { hierarchyPassword: ofParent } : { password: ofParent },
      }),
    ...(name !== undefined && {
      saltKey: { handle: "ek-rsa" as const, name, ...(useEKParent && { hierarchyPassword: ofParent }) },
    }),
  };
}

/** The other branch of the policy that tpmcopy gives a key for another machine's endorsement key. */
function duplicatedTo(
  newParentName: string | undefined,
  hierarchyPassword: string | undefined,
): TpmPolicyStep {
  if (newParentName !== undefined) return { duplicationSelect: { newParentName } };
  return { duplicationSelect: { newParent: "ek-rsa", hierarchyPassword } };
}

function tctiOf(tpmPath: string): string {
  if (tpmPath.startsWith("/dev/")) return `device:${tpmPath}`;
  const [, host, port] = /^(.+):(\d{1,5})$/.exec(tpmPath) ?? [];
  if (host !== undefined && port !== undefined) return `swtpm:host=${host},port=${port}`;
  throw invalid("--tpm-path must be a device such as /dev/tpmrm0, or host:port of a software TPM");
}

function tellOfSecret(what: string, remedy: string): void {
  say(`${what} is seen by everybody who lists this machine's processes: use ${remedy} instead`);
}

function goInteger(text: string): number {
  const number = Number(text.replaceAll("_", ""));
  if (!/^0?[xob]?[\da-f_]+$/i.test(text) || !Number.isInteger(number))
    throw new InvalidArgumentError("It must be a number such as 0x81008001.");
  return number;
}

function goBoolean(text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new InvalidArgumentError("It must be true or false.");
}
