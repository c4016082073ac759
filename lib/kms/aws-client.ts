import type { KMSClient } from "@aws-sdk/client-kms";
import { withDeadline } from "../core/deadline.js";
import { AwsHmacError, KmsError } from "../core/errors.js";
import { invalid } from "../core/validate.js";
import { awsKmsError } from "./aws-error.js";
import type { AwsKmsClient } from "./aws-options.js";
import { peerError } from "./peer.js";

type KmsModule = typeof import("@aws-sdk/client-kms");

/** The package, which is loaded when it is first needed. */
export async function loadAwsKms(purpose: string): Promise<KmsModule> {
  try {
    return await import("@aws-sdk/client-kms");
  } catch (error) {
    throw peerError("@aws-sdk/client-kms", purpose, error);
  }
}

/**
 * The options by which a caller says who calls KMS.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function checkAwsClient(name: string, client: unknown, clientConfig: unknown): void {
  if (client !== undefined && clientConfig !== undefined) {
    throw invalid(
      `${name} and clientConfig exclude each other: clientConfig is for a client that is made here`,
    );
  }
  const { send, config } = (client ?? {}) as Partial<AwsKmsClient>;
  if (client !== undefined && (typeof send !== "function" || typeof config?.region !== "function")) {
    throw invalid(`${name} must be a KMSClient of @aws-sdk/client-kms (AWS SDK for JavaScript v3)`);
  }
  if (clientConfig !== undefined && (clientConfig === null || typeof clientConfig !== "object")) {
    throw invalid("clientConfig must be an object: the settings of a KMSClient");
  }
}

/** Refuses a client of another region than the key's, whose call would be signed and sent to the wrong one. */
export async function checkAwsRegion(client: AwsKmsClient, region: string): Promise<void> {
  const actual = await client.config.region();
  if (actual !== region) {
    throw new AwsHmacError(
      "ERR_KMS_MISMATCH",
      `the client is for region ${actual}, the key's ARN for ${region}: give a client of ${region}`,
    );
  }
}

/** One call of KMS. */
export interface AwsKmsCall<Answer> {
  /** e.g. Decrypt */
  operation: string;
  /** Milliseconds for all of it, retries included. */
  timeout: number;
  signal: AbortSignal | undefined;
  send(signal: AbortSignal): Promise<Answer>;
}

/** Makes a call within its time; rejects with this package's errors, or with the caller's reason to abort. */
export async function callAwsKms<Answer>({
  operation,
  timeout,
  signal,
  send,
}: AwsKmsCall<Answer>): Promise<Answer> {
  const late = (): KmsError =>
    new KmsError("ERR_TIMEOUT", `AWS KMS ${operation}: not done within ${timeout} ms (option timeout)`, {
      operation,
      reason: "",
      retryable: true,
    });
  try {
    return await withDeadline(timeout, late, send, signal);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw awsKmsError(operation, error);
  }
}

/** The client as the package's own type, which it was checked to be. */
export function asKmsClient(client: AwsKmsClient): KMSClient {
  return client as unknown as KMSClient;
}
