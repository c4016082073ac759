import type { GetSessionTokenCommandInput } from "@aws-sdk/client-sts";
import { aheadOf, type MfaOptions, mfaCode } from "./mfa.js";
import type { TemporaryCredentialsProvider } from "./refresh-ahead.js";
import { type StsProviderOptions, stsProvider } from "./sts-provider.js";

/** What {@link fromSessionToken} takes. */
export interface FromSessionTokenOptions extends StsProviderOptions, MfaOptions {
  /** STS GetSessionToken's input. */
  params?: GetSessionTokenCommandInput | undefined;
}

/**
 * A provider of the user's own temporary credentials: STS GetSessionToken, signed by the key in the device. It behaves
 * and fails as {@link fromAssumeRole} does. STS does not tell the account here: no `accountId`.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function fromSessionToken(options: FromSessionTokenOptions): TemporaryCredentialsProvider {
  const input = { ...options.params };
  return stsProvider(options, {
    calls: [
      {
        action: "GetSessionToken",
        duration: input.DurationSeconds ?? 43_200,
        send: (sts, client, { code, abortSignal }) =>
          client.send(
            new sts.GetSessionTokenCommand({ ...input, ...(code !== undefined && { TokenCode: code }) }),
            { abortSignal },
          ),
      },
    ],
    code: mfaCode(input, options),
    ahead: aheadOf(input),
  });
}
