import type { STSClient, STSClientConfig } from "@aws-sdk/client-sts";
import type { Logger } from "@smithy/types";
import { AwsHmacError, CredentialsError } from "../core/errors.js";
import { onKeyClosed } from "../sigv4/key-closing.js";
import type { SdkIdentity } from "../sigv4/sdk-identity.js";
import { regionOf } from "./region.js";
import type { ServerClock } from "./server-clock.js";

/** The settings of an STS client that have nothing to do with who signs. */
export type StsClientConfig = Omit<STSClientConfig, (typeof identityFields)[number]>;

const identityFields = [
  "credentials",
  "sha256",
  "signer",
  "signerConstructor",
  "credentialDefaultProvider",
] as const;

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT` where a setting says who signs */
export function checkClientConfig(clientConfig: object): void {
  const field = identityFields.find((name) => name in clientConfig);
  if (field === undefined) return;
  throw new AwsHmacError("ERR_INVALID_ARGUMENT", `clientConfig.${field}: the key itself signs the STS calls`);
}

/** What a client is made of. */
export interface StsClientSource {
  config: StsClientConfig;
  logger: Logger | undefined;
  clock: ServerClock;
}

/**
 * A client whose calls the key signs.
 *
 * @throws CredentialsError `ERR_REGION_MISSING`
 */
export async function keyClient(
  source: StsClientSource,
  identity: SdkIdentity,
  keyClosed: AbortSignal | undefined,
): Promise<STSClient> {
  const { config } = source;
  const client = await newClient({ ...config, ...identity, region: await regionOf(config) }, source);
  return endWithKey(client, config, keyClosed);
}

/** A client whose calls are signed with temporary credentials; it shares the first one's connections and clock. */
export function temporaryClient(
  source: StsClientSource,
  first: STSClient,
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string },
): Promise<STSClient> {
  const { region, requestHandler, systemClockOffset } = first.config;
  return newClient({ ...source.config, region, requestHandler, systemClockOffset, credentials }, source);
}

async function newClient(settings: STSClientConfig, source: StsClientSource): Promise<STSClient> {
  const sts = await import("@aws-sdk/client-sts");
  const { logger } = source;
  const client = new sts.STSClient({ ...settings, ...(logger && { logger }) });
  try {
    await client.config.region();
  } catch (error) {
    if (error instanceof AwsHmacError) throw error;
    throw new CredentialsError("ERR_REGION_MISSING", "the region for STS is none", { cause: error });
  }
  // the SDK's own writes session tokens and MFA codes into the log
  client.middlewareStack.remove("loggerMiddleware");
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as StsResponse;
      source.clock.learn(response.headers);
      if (response.statusCode >= 300) {
        response.body = asAws(await client.config.streamCollector(response.body));
      }
      return result;
    },
    { name: "awsHmacResponse", step: "deserialize", priority: "low" },
  );
  return client;
}

interface StsResponse {
  statusCode: number;
  headers: Record<string, string>;
  body: unknown;
}

/**
 * The body of a refusal in AWS's form: Ceph's has no element around `<Error>`, and the SDK would find no error code. As bytes,
 * for a stream would lead from the SDK's error to the request and its session token.
 */
function asAws(body: Uint8Array): Uint8Array {
  const text = Buffer.from(body).toString();
  const [, bare] = /^\s*(?:<\?xml[^>]*\?>)?\s*(<Error>[\s\S]*<\/Error>)\s*$/.exec(text) ?? [];
  return bare === undefined ? body : Buffer.from(`<ErrorResponse>${bare}</ErrorResponse>`);
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
