import { loadConfig } from "@smithy/core/config";
import { invalid } from "../core/validate.js";

/** Where each setting may stand: a flag comes before the variable, the variable before the profile's line. */
const places = {
  key: { flag: "--key", variables: ["AWS_HMAC_KEY"], lines: ["aws_hmac_key"] },
  accessKeyId: {
    flag: "--access-key-id",
    variables: ["AWS_HMAC_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"],
    lines: ["aws_hmac_access_key_id", "aws_access_key_id"],
  },
  region: { flag: "--region", variables: ["AWS_REGION", "AWS_DEFAULT_REGION"], lines: ["region"] },
  iamEndpoint: {
    flag: "--iam-endpoint",
    variables: ["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL"],
    lines: ["endpoint_url"],
  },
  roleArn: { flag: "--role-arn", variables: ["AWS_HMAC_ROLE_ARN"], lines: ["aws_hmac_role_arn"] },
  mfaSerial: { flag: "--mfa-serial", variables: [], lines: ["mfa_serial"] },
  externalId: { flag: "--external-id", variables: [], lines: ["external_id"] },
  sessionName: { flag: "--session-name", variables: [], lines: ["role_session_name"] },
  duration: { flag: "--duration", variables: [], lines: ["duration_seconds"] },
} as const;

export type SettingName = keyof typeof places;
/** What nothing can be done without has a variable as well. */
type RequiredName = "key" | "accessKeyId" | "region";

/** What the flags say. */
export interface SettingFlags extends Partial<Record<Exclude<SettingName, "duration">, string>> {
  profile?: string;
  duration?: number;
}

/** Finds settings by their precedence: flags, the environment, then `[profile …]` of ~/.aws/config as the SDK reads it. */
export class Settings {
  readonly #flags: SettingFlags;

  constructor(flags: SettingFlags) {
    this.#flags = flags;
  }

  /** The setting, if it is anywhere. */
  async find(name: SettingName): Promise<string | undefined> {
    const given = this.#flags[name];
    if (given !== undefined) return String(given);
    const { variables, lines } = places[name];
    const first = (
      values: Record<string, string | undefined>,
      names: readonly string[],
    ): string | undefined => names.map((one) => values[one]).find((value) => value);
    const { profile } = this.#flags;
    return loadConfig<string | undefined>(
      {
        environmentVariableSelector: (env) => first(env, variables),
        configFileSelector: (section) => first(section as Record<string, string | undefined>, lines),
        default: undefined as never,
      },
      profile === undefined ? {} : { profile },
    )();
  }

  /** @throws AwsHmacError `ERR_INVALID_ARGUMENT`, which says where the setting may stand */
  async require(name: RequiredName): Promise<string> {
    const value = await this.find(name);
    if (value !== undefined && value !== "") return value;
    const { flag, variables, lines } = places[name];
    const profile = this.#flags.profile ?? process.env.AWS_PROFILE ?? "default";
    throw invalid(
      `${flag} is missing: give it, set ${variables[0]}, or write ${lines[0]} into profile ${profile} of ~/.aws/config`,
    );
  }
}
