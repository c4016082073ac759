import { readFile } from "node:fs/promises";
import type { AssumeRoleCommandInput } from "@aws-sdk/client-sts";
import { type Command, InvalidArgumentError } from "commander";
import type { HmacKey } from "../core/hmac-key.js";
import { invalid } from "../core/validate.js";
import { fromAssumeRole } from "../credentials/from-assume-role.js";
import { fromSessionToken } from "../credentials/from-session-token.js";
import type { TemporaryCredentialsProvider } from "../credentials/refresh-ahead.js";
import { Unconfirmed } from "./failure.js";
import { type KeyFlags, withSigningOptions } from "./key-options.js";
import { wholeNumber } from "./numbers.js";
import { say } from "./output.js";
import type { Settings } from "./settings.js";
import { ask, isInteractive } from "./terminal.js";

/** What the flags of {@link withStsOptions} say. */
export interface StsFlags extends KeyFlags {
  sessionName?: string;
  duration?: number;
  externalId?: string;
  mfaSerial?: string;
  tokenCode?: string;
  policyFile?: string;
  policyArn?: string[];
  tag?: Tag[];
  sourceIdentity?: string;
  stsEndpoint?: string;
}

interface Tag {
  Key: string;
  Value: string;
}

/** Flags that only a role has, by their names in {@link StsFlags}. */
const ofRoles = {
  sessionName: "--session-name",
  externalId: "--external-id",
  policyFile: "--policy-file",
  policyArn: "--policy-arn",
  tag: "--tag",
  sourceIdentity: "--source-identity",
} as const;

/** Adds the flags that say for whom temporary credentials are, and how STS is asked for them. */
export function withStsOptions(command: Command): Command {
  return withSigningOptions(command)
    .option("--role-arn <arn>", "the role to assume; without one it is GetSessionToken")
    .option("--session-name <name>", "the name of the role's session; made up unless given")
    .option(
      "-d, --duration <seconds>",
      "how long the credentials are good; STS says unless given",
      wholeNumber,
    )
    .option("--external-id <id>", "what the role's trust policy wants of third parties")
    .option("--mfa-serial <arn>", "the MFA device; its code is asked for at the terminal")
    .option("--token-code <digits>", "the code that the MFA device shows now, good for one call")
    .option("--policy-file <path>", "a file with a policy (JSON) that leaves the session fewer rights")
    .option("--policy-arn <arn>", "a managed policy that does; may be repeated", listed)
    .option("--tag <key=value>", "a tag of the session; may be repeated", tagged)
    .option("--source-identity <name>", "who stands behind the session, for CloudTrail")
    .option("--sts-endpoint <url>", "STS elsewhere; AWS_ENDPOINT_URL_STS says the same");
}

function listed(text: string, before: string[] = []): string[] {
  return [...before, text];
}

function tagged(text: string, before: Tag[] = []): Tag[] {
  const [, Key, Value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (Key === undefined || Value === undefined) throw new InvalidArgumentError("It must be key=value.");
  return [...before, { Key, Value }];
}

/** Which credentials are wanted: all that they depend on, but for the key in the device. */
export interface StsRequest {
  accessKeyId: string;
  region: string;
  endpoint: string | undefined;
  profile: string | undefined;
  /** Of AssumeRole where it has a `RoleArn`, else of GetSessionToken. */
  params: Partial<AssumeRoleCommandInput>;
  timeout: number | undefined;
}

/**
 * What the flags and the settings ask STS for.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export async function stsRequest(flags: StsFlags, settings: Settings): Promise<StsRequest> {
  const accessKeyId = await settings.require("accessKeyId");
  const region = await settings.require("region");
  const RoleArn = await settings.find("roleArn");
  const { duration, mfaSerial, tokenCode, stsEndpoint: endpoint, profile, timeout } = flags;
  if (tokenCode !== undefined && mfaSerial === undefined) throw invalid("--token-code needs --mfa-serial");
  if (endpoint !== undefined && !URL.canParse(endpoint)) throw invalid("--sts-endpoint must be a URL");
  const params = withoutGaps({
    DurationSeconds: duration,
    SerialNumber: mfaSerial,
    TokenCode: tokenCode,
    ...(RoleArn ? await roleParams(RoleArn, flags) : {}),
  });
  if (!RoleArn) {
    const [, spelling] = Object.entries(ofRoles).find(([name]) => name in flags) ?? [];
    if (spelling) throw invalid(`${spelling} is for a role: give --role-arn too`);
  }
  return { accessKeyId, region, endpoint, profile, params, timeout };
}

async function roleParams(RoleArn: string, flags: StsFlags): Promise<Partial<AssumeRoleCommandInput>> {
  const { sessionName, externalId, policyFile, policyArn, tag, sourceIdentity } = flags;
  return {
    RoleArn,
    RoleSessionName: sessionName,
    ExternalId: externalId,
    Policy: policyFile === undefined ? undefined : await policyIn(policyFile),
    PolicyArns: policyArn?.map((arn) => ({ arn })),
    Tags: tag,
    SourceIdentity: sourceIdentity,
  };
}

async function policyIn(file: string): Promise<string> {
  try {
    return JSON.stringify(JSON.parse(await readFile(file, "utf8")));
  } catch {
    throw invalid(`--policy-file ${file} cannot be read as JSON`);
  }
}

function withoutGaps<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

const quiet = (): void => undefined;
/** Tells of refreshes that fail, and of nothing that the SDK says. */
const failureLogger = {
  ...{ trace: quiet, debug: quiet, info: quiet, error: quiet },
  warn(message: unknown): void {
    const [, text] = /^aws-hmac: (.*)$/s.exec(String(message)) ?? [];
    if (text !== undefined) say(text);
  },
};

/**
 * A provider of the credentials that `request` asks for, signed with `key`; a refresh that fails is told on stderr.
 *
 * @param asksAgain false where the terminal is another program's after the first call: no code can be asked for then
 * @throws Unconfirmed where an MFA code is wanted, and there is no terminal to ask for it at
 */
export function providerOf(
  request: StsRequest,
  key: HmacKey,
  { asksAgain = true }: { asksAgain?: boolean } = {},
): TemporaryCredentialsProvider {
  const { accessKeyId, region, endpoint, profile, params, timeout } = request;
  const { RoleArn, SerialNumber, TokenCode } = params;
  if (SerialNumber !== undefined && TokenCode === undefined && !isInteractive()) {
    throw new Unconfirmed("no terminal to ask at for the code of the MFA device: give --token-code");
  }
  let asked = false;
  const mfaCodeProvider = async (device: string): Promise<string> => {
    if (asked && !asksAgain)
      throw new Unconfirmed("the code of the MFA device was asked for at the start only");
    asked = true;
    return ask(`Code of the MFA device ${device}: `);
  };
  const options = {
    ...{ key, accessKeyId, timeout, logger: failureLogger },
    clientConfig: {
      region,
      ...(endpoint !== undefined && { endpoint }),
      ...(profile !== undefined && { profile }),
    },
    ...(SerialNumber !== undefined && TokenCode === undefined && { mfaCodeProvider }),
  };
  return RoleArn === undefined
    ? fromSessionToken({ ...options, params })
    : fromAssumeRole({ ...options, params: { ...params, RoleArn } });
}
