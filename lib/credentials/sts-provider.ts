import type { Credentials, STSClient } from "@aws-sdk/client-sts";
import type { Logger } from "@smithy/types";
import { withDeadline } from "../core/deadline.js";
import { backendOf, type CredentialsEvent, channels, observed } from "../core/diagnostics.js";
import { checkTimeout } from "../core/validate.js";
import { type SdkIdentityOptions, sdkIdentity } from "../sigv4/sdk-identity.js";
import type { MfaCode } from "./mfa.js";
import {
  type RefreshAheadOptions,
  refreshAhead,
  type TemporaryCredentials,
  type TemporaryCredentialsProvider,
} from "./refresh-ahead.js";
import { ServerClock } from "./server-clock.js";
import {
  checkClientConfig,
  keyClient,
  type StsClientConfig,
  type StsClientSource,
  temporaryClient,
} from "./sts-client.js";
import { failure, type StsOperation, stsError } from "./sts-error.js";

/** What all providers of temporary credentials take. */
export interface StsProviderOptions extends SdkIdentityOptions {
  /** For the STS client: `region`, `profile`, `endpoint`, `useFipsEndpoint`, `requestHandler`, `maxAttempts`, …, but not who signs. */
  clientConfig?: StsClientConfig | undefined;
  /**
   * Told of each STS call (`info`), and of a refresh that failed while the last credentials were good (`warn`); else
   * `clientConfig.logger`. It gets no secret, token or MFA code.
   */
  logger?: Logger | undefined;
  /** Milliseconds for a whole refresh: device, retries and all roles, but not the MFA code. 30,000 unless given. */
  timeout?: number | undefined;
}

/** One STS call: how it is made, and what it answers. */
export interface StsCall {
  /** e.g. AssumeRole */
  action: string;
  /** `params.DurationSeconds`, or what STS takes without. */
  duration: number;
  /** Makes the call. */
  send(
    sts: typeof import("@aws-sdk/client-sts"),
    client: STSClient,
    context: { code: string | undefined; abortSignal: AbortSignal },
  ): Promise<StsAnswer>;
}

export interface StsAnswer {
  Credentials?: Credentials | undefined;
  /** Whom they are for, where STS says so. */
  arn?: string | undefined;
}

/** The calls of a refresh: the first one signed by the key, each later one with what the one before gave. */
export interface StsCalls {
  calls: readonly [StsCall, ...StsCall[]];
  /** The MFA code for the first call. */
  code?: MfaCode | undefined;
  ahead: RefreshAheadOptions["ahead"];
}

/** A provider of what the last of `calls` answers: one refresh at a time, ahead of the end, each within its deadline. */
export function stsProvider(
  options: StsProviderOptions,
  { calls, code: mfaCode, ahead }: StsCalls,
): TemporaryCredentialsProvider {
  const { key, clientConfig: config = {} } = options;
  const timeout = checkTimeout(options.timeout);
  checkClientConfig(config);
  const identity = sdkIdentity(options);
  const clock = new ServerClock();
  const source: StsClientSource = { config, logger: options.logger ?? config.logger, clock };
  let first: STSClient | undefined;

  /** What the logger throws is its own affair, as with subscribers of node:diagnostics_channel. */
  function tell(level: "info" | "warn", text: string): void {
    try {
      source.logger?.[level](`aws-hmac: ${text}`);
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** One call, within what is left of the time for all of them. */
  function call(
    position: number,
    end: number,
    code: string | undefined,
    before: TemporaryCredentials | undefined,
  ): Promise<TemporaryCredentials> {
    const one = calls[position] as StsCall;
    const place = calls.length > 1 ? ` (role ${position + 1} of ${calls.length})` : "";
    const operation: StsOperation = { action: one.action, place, byKey: position === 0 };
    const work = async (abortSignal: AbortSignal): Promise<TemporaryCredentials> => {
      const sts = await import("@aws-sdk/client-sts");
      first ??= await keyClient(source, identity, key.closed);
      const client = before ? await temporaryClient(source, first, before) : first;
      const answer = await one.send(sts, client, { code: before ? undefined : code, abortSignal });
      tell("info", `STS ${one.action}${place}: done`);
      return temporaryCredentials(operation, answer);
    };
    return withDeadline(Math.max(1, end - performance.now()), () => tooLate(operation, timeout), work).catch(
      (error) => {
        throw stsError(operation, error);
      },
    );
  }

  async function load(): Promise<{ credentials: TemporaryCredentials; lifetime: number }> {
    const code = await mfaCode?.();
    const end = performance.now() + timeout;
    const backend = backendOf(key);
    let credentials: TemporaryCredentials | undefined;
    for (const [position, { action }] of calls.entries()) {
      credentials = await observed<CredentialsEvent, TemporaryCredentials>(
        channels.credentials,
        (answer) => ({ backend, action, ...(answer && { expiration: new Date(answer.expiration) }) }),
        () => call(position, end, code, credentials),
      );
    }
    return withLifetime(credentials as TemporaryCredentials);
  }

  /** How long the credentials are good; no server's `Date` is believed that makes nonsense of this. */
  function withLifetime(credentials: TemporaryCredentials): {
    credentials: TemporaryCredentials;
    lifetime: number;
  } {
    const { action, duration } = calls.at(-1) as StsCall;
    const asked = duration * 1000;
    const until = credentials.expiration.getTime();
    const sensible = (left: number): boolean => left > 0 && left <= asked + 60_000;
    if (!sensible(until - clock.now()) && sensible(until - Date.now())) {
      clock.forget();
      if (first) first.config.systemClockOffset = 0; // the SDK's signatures follow the same `Date`
    }
    const left = until - clock.now();
    if (left <= 0) {
      const text = "the credentials had ended when they came: check the server's clock, and this machine's";
      throw failure({ action, place: "", byKey: true }, "ERR_STS_RESPONSE", text);
    }
    return { credentials, lifetime: Math.min(left, asked) };
  }

  const provide = refreshAhead({
    load,
    ahead,
    closed: key.closed,
    onRefreshFailed(error) {
      tell("warn", `the last credentials stay in use: ${(error as Error).message}`);
    },
    now: () => clock.now(),
  });
  return async (asked) => {
    const credentials = await provide(asked);
    return { ...credentials, expiration: clock.local(credentials.expiration) };
  };
}

function temporaryCredentials(
  operation: StsOperation,
  { Credentials: given, arn }: StsAnswer,
): TemporaryCredentials {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = given ?? {};
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || !(Expiration && Expiration.getTime() > 0)) {
    throw failure(operation, "ERR_STS_RESPONSE", "the answer is not complete: check the endpoint");
  }
  // arn:aws:sts::123456789012:assumed-role/…; Ceph leaves the account out
  const accountId = arn?.split(":")[4];
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: SessionToken,
    expiration: Expiration,
    ...(accountId ? { accountId } : {}),
  };
}

function tooLate(operation: StsOperation, timeout: number): Error {
  const text = `not done within ${timeout} ms (option timeout): check the endpoint and the network`;
  return failure(operation, "ERR_STS_TIMEOUT", text, { retryable: true });
}
