import { readFile } from "node:fs/promises";
import type { GetSessionTokenCommandInput } from "@aws-sdk/client-sts";
import type { HmacKey } from "../core/hmac-key.js";
import { invalid } from "../core/validate.js";
import { type AssumeRoleParams, fromAssumeRole } from "../credentials/from-assume-role.js";
import { fromSessionToken } from "../credentials/from-session-token.js";
import type { TemporaryCredentialsProvider } from "../credentials/refresh-ahead.js";
import { Unconfirmed } from "./failure.js";
import { say } from "./output.js";
import type { Settings } from "./settings.js";
import type { StsFlags } from "./sts-options.js";
import { ask, isInteractive } from "./terminal.js";

/** Flags that only a role has, by their names in {@link StsFlags}. */
const ofRoles = {
  sessionName: "--session-name",
  externalId: "--external-id",
  policyFile: "--policy-file",
  policyArn: "--policy-arn",
  tag: "--tag",
  sourceIdentity: "--source-identity",
} as const;

/** Which credentials are wanted: all that they depend on, but for the key in the device. */
export interface StsRequest {
  accessKeyId: string;
  region: string;
  endpoint: string | undefined;
  profile: string | undefined;
  /** Assumed one after the other; without any it is GetSessionToken. */
  roles: readonly AssumeRoleParams[];
  /** Of GetSessionToken; the MFA device and its code also where there are roles, of which the first has the same. */
  params: GetSessionTokenCommandInput;
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
  const arns = (await settings.find("roleArn"))?.split(/\s+/).filter((arn) => arn !== "") ?? [];
  const { stsEndpoint: endpoint, profile, timeout } = flags;
  if (endpoint !== undefined && !URL.canParse(endpoint)) throw invalid("--sts-endpoint must be a URL");
  if (arns.length === 0) {
    const [, spelling] = Object.entries(ofRoles).find(([name]) => name in flags) ?? [];
    if (spelling) throw invalid(`${spelling} is for a role: give --role-arn too`);
  }
  // the profile's lines are those of a role, as AWS's own tools read them
  const mfaSerial = arns.length > 0 ? await settings.find("mfaSerial") : flags.mfaSerial;
  const { tokenCode, duration } = flags;
  if (tokenCode !== undefined && mfaSerial === undefined) throw invalid("--token-code needs --mfa-serial");
  const mfa = withoutGaps({ SerialNumber: mfaSerial, TokenCode: tokenCode });
  const params = withoutGaps({ ...mfa, DurationSeconds: duration });
  return {
    accessKeyId,
    region,
    endpoint,
    profile,
    roles: await rolesOf(arns, mfa, flags, settings),
    params,
    timeout,
  };
}

async function rolesOf(
  arns: readonly string[],
  mfa: Pick<GetSessionTokenCommandInput, "SerialNumber" | "TokenCode">,
  flags: StsFlags,
  settings: Settings,
): Promise<AssumeRoleParams[]> {
  if (arns.length === 0) return [];
  const { policyFile, policyArn, tag, sourceIdentity } = flags;
  const RoleSessionName = await settings.find("sessionName");
  // a source identity stays, from one role to the next
  const first = { ...mfa, SourceIdentity: sourceIdentity };
  const last = {
    DurationSeconds: await durationOf(settings),
    ExternalId: await settings.find("externalId"),
    Policy: policyFile === undefined ? undefined : await policyIn(policyFile),
    PolicyArns: policyArn?.map((arn) => ({ arn })),
    Tags: tag,
  };
  return arns.map((RoleArn, at) =>
    withoutGaps({
      ...{ RoleArn, RoleSessionName },
      ...(at === 0 && first),
      ...(at === arns.length - 1 && last),
    }),
  );
}

async function durationOf(settings: Settings): Promise<number | undefined> {
  const text = await settings.find("duration");
  if (text === undefined) return undefined;
  if (!/^\d{1,6}$/.test(text)) throw invalid("duration_seconds of the profile must be a whole number");
  return Number(text);
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
  const { accessKeyId, region, endpoint, profile, roles, params, timeout } = request;
  const { SerialNumber, TokenCode } = params;
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
  return roles.length === 0
    ? fromSessionToken({ ...options, params })
    : fromAssumeRole({ ...options, params: roles });
}
