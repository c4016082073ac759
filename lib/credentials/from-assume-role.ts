import { randomUUID } from "node:crypto";
import type { AssumeRoleCommandInput } from "@aws-sdk/client-sts";
import { invalid } from "../core/validate.js";
import { aheadOf, type MfaOptions, mfaCode } from "./mfa.js";
import type { TemporaryCredentialsProvider } from "./refresh-ahead.js";
import { type StsCall, type StsProviderOptions, stsProvider } from "./sts-provider.js";

/** STS AssumeRole's input; `RoleSessionName` is made up unless given. */
export type AssumeRoleParams = Omit<AssumeRoleCommandInput, "RoleArn" | "RoleSessionName"> & {
  /** The role. */
  RoleArn: string;
  /** What AWS logs as the name of the session; `aws-hmac-` and a UUID by default. */
  RoleSessionName?: string | undefined;
};

/** What {@link fromAssumeRole} takes. */
export interface FromAssumeRoleOptions extends StsProviderOptions, MfaOptions {
  /** The role; or a chain of roles, each assumed with the credentials of the one before, of which the last one's are given. */
  params: AssumeRoleParams | readonly AssumeRoleParams[];
}

/**
 * A provider of a role's temporary credentials: STS AssumeRole, signed by the key in the device. Asks STS on first use,
 * once for all callers, and again shortly before the credentials end; the last good ones are served until then.
 *
 * @returns a provider for the `credentials` of any AWS SDK v3 client. It rejects with the key's own errors and with
 * CredentialsError: `ERR_REGION_MISSING`, `ERR_MFA_CODE`, `ERR_STS_KEY_REJECTED`, `ERR_STS_DENIED`, `ERR_STS_TIMEOUT`,
 * `ERR_STS_RESPONSE`, `ERR_STS`
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function fromAssumeRole(options: FromAssumeRoleOptions): TemporaryCredentialsProvider {
  const roles = [options.params].flat() as AssumeRoleParams[];
  const [first, ...others] = roles;
  if (!first || roles.some((role) => !role?.RoleArn)) throw invalid("params.RoleArn is missing");
  if (others.some((role) => role.SerialNumber !== undefined || role.TokenCode !== undefined)) {
    throw invalid(
      "params.SerialNumber of a later role: roles have no MFA device, name it for the first role",
    );
  }
  return stsProvider(options, {
    calls: [assumption(first), ...others.map(assumption)],
    code: mfaCode(first, options),
    ahead: aheadOf(first),
  });
}

function assumption(params: AssumeRoleParams): StsCall {
  const input = { ...params, RoleSessionName: params.RoleSessionName ?? `aws-hmac-${randomUUID()}` };
  return {
    action: "AssumeRole",
    duration: params.DurationSeconds ?? 3_600,
    async send(sts, client, { code, abortSignal }) {
      const command = new sts.AssumeRoleCommand({ ...input, ...(code !== undefined && { TokenCode: code }) });
      const { Credentials, AssumedRoleUser } = await client.send(command, { abortSignal });
      return { Credentials, arn: AssumedRoleUser?.Arn };
    },
  };
}
