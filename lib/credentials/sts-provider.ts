import type { Credentials, STSClient, STSClientConfig } from "@aws-sdk/client-sts";
import { withDeadline } from "../core/deadline.js";
import { backendOf, type CredentialsEvent, channels, observed } from "../core/diagnostics.js";
import { AwsHmacError, CredentialsError } from "../core/errors.js";
import { checkTimeout } from "../core/validate.js";
import { onKeyClosed } from "../sigv4/key-closing.js";
import { type SdkIdentityOptions, sdkIdentity } from "../sigv4/sdk-identity.js";
import type { MfaCodeProvider } from "./mfa.js";
import {
  refreshAhead,
  type TemporaryCredentials,
  type TemporaryCredentialsProvider,
} from "./refresh-ahead.js";
import { stsError } from "./sts-error.js";

/** The settings of an STS client that have nothing to do with who signs. */
export type StsClientConfig = Omit<STSClientConfig, (typeof identityFields)[number]>;

const identityFields = [
  "credentials",
  "sha256",
  "signer",
  "signerConstructor",
  "credentialDefaultProvider",
] as const;

/** What all providers of temporary credentials take. */
export interface StsProviderOptions extends SdkIdentityOptions {
  /** Asked before each call where `params.SerialNumber` names an MFA device. Its time counts into `timeout`. */
  mfaCodeProvider?: MfaCodeProvider | undefined;
  /**
   * For the STS client: `region` (else `AWS_REGION`, the profile or the instance's), `endpoint`, `requestHandler`, …;
   * a refresh that fails while the last credentials are good is told to `logger.warn`.
   */
  clientConfig?: StsClientConfig | undefined;
  /** Milliseconds for a whole refresh: device, MFA code, retries and all. 30,000 unless given. */
  timeout?: number | undefined;
}

/** One STS call: how it is made, and what it answers. */
export interface StsCall {
  /** e.g. AssumeRole */
  action: string;
  /** Makes the call. */
  send(sts: typeof import("@aws-sdk/client-sts"), client: STSClient, signal: AbortSignal): Promise<StsAnswer>;
}

export interface StsAnswer {
  credentials: Credentials | undefined;
  /** Whom they are for, where STS says so. */
  arn?: string | undefined;
}

/** A provider of what `call` answers: one call at a time, refreshed ahead, each within its deadline. */
export function stsProvider(options: StsProviderOptions, call: StsCall): TemporaryCredentialsProvider {
  const { key, clientConfig = {} } = options;
  const timeout = checkTimeout(options.timeout);
  checkConfig(clientConfig);
  const identity = sdkIdentity(options);
  let client: STSClient | undefined;

  async function load(signal: AbortSignal): Promise<TemporaryCredentials> {
    const sts = await import("@aws-sdk/client-sts");
    client ??= endWithKey(new sts.STSClient({ ...clientConfig, ...identity }), clientConfig, key.closed);
    await checkRegion(client);
    return temporaryCredentials(call.action, await call.send(sts, client, signal));
  }

  async function loadInTime(): Promise<TemporaryCredentials> {
    try {
      return await withDeadline(timeout, () => tooLate(call.action, timeout), load);
    } catch (error) {
      throw stsError(call.action, error);
    }
  }

  return refreshAhead({
    async load() {
      const { action } = call;
      const backend = backendOf(key);
      return observed<CredentialsEvent, TemporaryCredentials>(
        channels.credentials,
        (answer) => ({ backend, action, ...(answer && { expiration: new Date(answer.expiration) }) }),
        () => loadInTime(),
      );
    },
    closed: key.closed,
    onRefreshFailed(error) {
      clientConfig.logger?.warn(`aws-hmac: the last credentials stay in use: ${(error as Error).message}`);
    },
    now: Date.now,
  });
}

/** Clients that were dropped with their provider need not be ended any more. */
const dropped = new FinalizationRegistry<() => void>((forget) => forget());

/** Ends the client's connections when the key is closed, without keeping the client; a handler of the caller's is left alone. */
function endWithKey(
  client: STSClient,
  config: StsClientConfig,
  keyClosed: AbortSignal | undefined,
): STSClient {
  if (config.requestHandler && "handle" in config.requestHandler) return client;
  const weak = new WeakRef(client);
  dropped.register(
    client,
    onKeyClosed(keyClosed, () => weak.deref()?.destroy()),
  );
  return client;
}

function checkConfig(clientConfig: object): void {
  const field = identityFields.find((name) => name in clientConfig);
  if (field)
    throw new AwsHmacError(
      "ERR_INVALID_ARGUMENT",
      `clientConfig.${field}: the key itself signs the STS calls`,
    );
}

async function checkRegion(client: STSClient): Promise<void> {
  try {
    await client.config.region();
  } catch (cause) {
    const message = "no region for STS: give clientConfig.region or set AWS_REGION";
    throw new CredentialsError("ERR_REGION_MISSING", message, { cause });
  }
}

function temporaryCredentials(action: string, { credentials, arn }: StsAnswer): TemporaryCredentials {
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = credentials ?? {};
  if (!AccessKeyId || !SecretAccessKey || !SessionToken || !(Expiration && Expiration.getTime() > 0)) {
    throw new CredentialsError(
      "ERR_STS_RESPONSE",
      `STS ${action}: the answer is not complete: check the endpoint`,
    );
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

function tooLate(action: string, timeout: number): CredentialsError {
  const message = `STS ${action}: not done within ${timeout} ms (option timeout): check the endpoint and the network`;
  return new CredentialsError("ERR_STS_TIMEOUT", message, { retryable: true });
}
