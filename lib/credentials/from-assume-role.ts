import { randomUUID } from "node:crypto";
import type { AssumeRoleCommandInput } from "@aws-sdk/client-sts";
import { AwsHmacError } from "../core/errors.js";
import { checkMfa, mfaCode } from "./mfa.js";
import type { TemporaryCredentialsProvider } from "./refresh-ahead.js";
import { type StsProviderOptions, stsProvider } from "./sts-provider.js";

/** What {@link fromAssumeRole} takes. */
export interface FromAssumeRoleOptions extends StsProviderOptions {
  /** STS AssumeRole's input; `RoleSessionName` is made up unless given. */
  params: Omit<AssumeRoleCommandInput, "RoleArn" | "RoleSessionName"> & {
    RoleArn: string;
    RoleSessionName?: string | undefined;
  };
}

/**
 * A provider of a role's temporary credentials: STS AssumeRole, signed by the key in the device. Asks STS on first use,
 * once for all callers, and again shortly before the credentials end; the last good ones are served until then.
 *
 * @returns a provider for the `credentials` of any AWS SDK v3 client. It rejects with the key's own errors and with
 * CredentialsError: `ERR_REGION_MISSING`, `ERR_STS_KEY_REJECTED`, `ERR_STS_DENIED`, `ERR_STS_TIMEOUT`, `ERR_STS_RESPONSE`,
 * `ERR_STS`
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function fromAssumeRole(options: FromAssumeRoleOptions): TemporaryCredentialsProvider {
  const { params, mfaCodeProvider } = options;
  if (!params?.RoleArn) throw new AwsHmacError("ERR_INVALID_ARGUMENT", "params.RoleArn is missing");
  checkMfa(params, mfaCodeProvider);
  const sessionName = params.RoleSessionName ?? `aws-hmac-${randomUUID()}`;
  return stsProvider(options, {
    action: "AssumeRole",
    async send(sts, client, abortSignal) {
      const TokenCode = await mfaCode(params, mfaCodeProvider);
      const command = new sts.AssumeRoleCommand({ ...params, RoleSessionName: sessionName, TokenCode });
      const { Credentials, AssumedRoleUser } = await client.send(command, { abortSignal });
      return { credentials: Credentials, arn: AssumedRoleUser?.Arn };
    },
  });
}
