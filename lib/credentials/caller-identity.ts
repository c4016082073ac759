import { withDeadline } from "../core/deadline.js";
import type { AwsHmacError } from "../core/errors.js";
import { type SdkIdentityOptions, sdkIdentity } from "../sigv4/sdk-identity.js";
import { ServerClock } from "./server-clock.js";
import { keyClient, type StsClientConfig } from "./sts-client.js";
import { failure, stsError } from "./sts-error.js";

/** What STS says of who signs. */
export interface CallerIdentity {
  account: string;
  arn: string;
}

/** The answer to GetCallerIdentity: who it is, or why that is not known. */
export interface CallerIdentityAnswer {
  identity?: CallerIdentity;
  error?: AwsHmacError;
  /** Status of the answer; undefined where none came. */
  status?: number;
  /** Milliseconds by which the server's clock is before this machine's; within a second or so. */
  skew?: number;
}

const operation = { action: "GetCallerIdentity", place: "", byKey: true };

/**
 * Calls STS GetCallerIdentity, without a second try.
 *
 * @returns also what STS, or the way to it, failed with
 */
export async function callerIdentity({
  clientConfig,
  timeout = 30_000,
  ...who
}: SdkIdentityOptions & {
  clientConfig: StsClientConfig;
  timeout?: number | undefined;
}): Promise<CallerIdentityAnswer> {
  const { GetCallerIdentityCommand } = await import("@aws-sdk/client-sts");
  const source = {
    config: { maxAttempts: 1, ...clientConfig },
    ...{ logger: undefined, clock: new ServerClock() },
  };
  const client = await keyClient(source, sdkIdentity(who), undefined);
  const seen: Pick<CallerIdentityAnswer, "status" | "skew"> = {};
  client.middlewareStack.add(
    (next) => async (args) => {
      const sent = Date.now();
      const result = await next(args);
      const { statusCode, headers } = result.response as {
        statusCode: number;
        headers: Record<string, string>;
      };
      const date = Date.parse(headers.date ?? "");
      seen.status = statusCode;
      // the header's second has begun half a second ago, on the average
      if (!Number.isNaN(date)) seen.skew = date + 500 - (sent + Date.now()) / 2;
      return result;
    },
    { step: "deserialize", priority: "low" },
  );
  const late = (): Error =>
    failure(
      operation,
      "ERR_STS_TIMEOUT",
      `not done within ${timeout} ms: check the endpoint and the network`,
      {
        retryable: true,
      },
    );
  try {
    const { Account = "", Arn = "" } = await withDeadline(timeout, late, (abortSignal) =>
      client.send(new GetCallerIdentityCommand({}), { abortSignal }),
    );
    return { ...seen, identity: { account: Account, arn: Arn } };
  } catch (error) {
    return { ...seen, error: stsError(operation, error) };
  } finally {
    client.destroy();
  }
}
