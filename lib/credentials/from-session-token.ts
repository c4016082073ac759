import type { GetSessionTokenCommandInput } from "@aws-sdk/client-sts";
import { checkMfa, mfaCode } from "./mfa.js";
import type { TemporaryCredentialsProvider } from "./refresh-ahead.js";
import { type StsProviderOptions, stsProvider } from "./sts-provider.js";

/** What {@link fromSessionToken} takes. */
export interface FromSessionTokenOptions extends StsProviderOptions {
  /** STS GetSessionToken's input. */
  params?: GetSessionTokenCommandInput | undefined;
}

/**
 * A provider of the user's own temporary credentials: STS GetSessionToken, signed by the key in the device. It behaves
 * and fails as {@link fromAssumeRole} does.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function fromSessionToken(options: FromSessionTokenOptions): TemporaryCredentialsProvider {
  const { params = {}, mfaCodeProvider } = options;
  checkMfa(params, mfaCodeProvider);
  return stsProvider(options, {
    action: "GetSessionToken",
    async send(sts, client, abortSignal) {
      const TokenCode = await mfaCode(params, mfaCodeProvider);
      const command = new sts.GetSessionTokenCommand({ ...params, TokenCode });
      const { Credentials } = await client.send(command, { abortSignal });
      return { credentials: Credentials };
    },
  });
}
