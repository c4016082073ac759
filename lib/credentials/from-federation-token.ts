import type { GetFederationTokenCommandInput } from "@aws-sdk/client-sts";
import { invalid } from "../core/validate.js";
import type { TemporaryCredentialsProvider } from "./refresh-ahead.js";
import { type StsProviderOptions, stsProvider } from "./sts-provider.js";

/** What {@link fromFederationToken} takes. */
export interface FromFederationTokenOptions extends StsProviderOptions {
  /** STS GetFederationToken's input. Without `Policy` or `PolicyArns` the credentials may do nothing. */
  params: Omit<GetFederationTokenCommandInput, "Name"> & {
    /** Whom the credentials are for: 2 to 32 letters, digits and `+=,.@-`; to be seen in logs. */
    Name: string;
  };
}

/**
 * A provider of temporary credentials for somebody else, with no more rights than the policies given here and the user's
 * own: STS GetFederationToken, signed by the key in the device. It behaves and fails as `fromAssumeRole` does.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function fromFederationToken(options: FromFederationTokenOptions): TemporaryCredentialsProvider {
  const input = { ...options.params };
  if (!input.Name) throw invalid("params.Name is missing: whom the credentials are for");
  return stsProvider(options, {
    calls: [
      {
        action: "GetFederationToken",
        duration: input.DurationSeconds ?? 43_200,
        async send(sts, client, { abortSignal }) {
          const command = new sts.GetFederationTokenCommand(input);
          const { Credentials, FederatedUser } = await client.send(command, { abortSignal });
          return { Credentials, arn: FederatedUser?.Arn };
        },
      },
    ],
    ahead: "timer",
  });
}
