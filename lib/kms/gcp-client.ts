import { withDeadline } from "../core/deadline.js";
import { AwsHmacError, KmsError } from "../core/errors.js";
import { invalid } from "../core/validate.js";
import { gcpKmsError } from "./gcp-error.js";
import type { GcpKeyName } from "./gcp-name.js";
import { peerError } from "./peer.js";

/** A client of Google Cloud KMS: a `KeyManagementServiceClient` of `@google-cloud/kms`. */
export interface GcpKmsClient {
  /** The calls to the service, by name. */
  readonly innerApiCalls: { readonly [name: string]: unknown };
  /** Makes the connection. */
  initialize(): Promise<unknown>;
}

/** The settings of a `KeyManagementServiceClient` that matter most; it takes others too. */
export interface GcpKmsClientConfig {
  /** The service's host; Google's by default. */
  apiEndpoint?: string;
  /** The service's port; 443 by default. */
  port?: number;
  /** The project that is asked; that of the credentials by default. */
  projectId?: string;
  /** Path of a service account's key file. */
  keyFilename?: string;
  /** A service account's `client_email` and `private_key`. */
  credentials?: object;
  /** A client of `google-auth-library`. */
  authClient?: object;
  /** The cloud's domain; `googleapis.com` by default. */
  universeDomain?: string;
  /** `credentials` of `@grpc/grpc-js` for the connection. */
  sslCreds?: object;
}

/** A client, and how to end it where it was made here. */
interface Opened {
  client: GcpKmsClient;
  close(): Promise<void>;
}

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT` */
export function checkGcpClient(client: unknown, clientConfig: unknown): void {
  if (client !== undefined && clientConfig !== undefined) {
    throw invalid(
      "kmsClient and clientConfig exclude each other: clientConfig is for a client that is made here",
    );
  }
  const { initialize, innerApiCalls } = (client ?? {}) as Partial<GcpKmsClient>;
  // innerApiCalls is there once the client is initialized
  if (client !== undefined && (typeof initialize !== "function" || typeof innerApiCalls !== "object")) {
    throw invalid("kmsClient must be a KeyManagementServiceClient of @google-cloud/kms");
  }
  if (clientConfig !== undefined && (clientConfig === null || typeof clientConfig !== "object")) {
    throw invalid("clientConfig must be an object: the settings of a KeyManagementServiceClient");
  }
}

/** The caller's client, or one that is made with the settings. */
export async function openGcpKms(
  client: GcpKmsClient | undefined,
  clientConfig: GcpKmsClientConfig | undefined,
): Promise<Opened> {
  if (client) return { client, close: async () => undefined };
  const made = new (await load()).KeyManagementServiceClient({ ...clientConfig } as Record<string, never>);
  return { client: made, close: () => made.close() };
}

async function load(): Promise<typeof import("@google-cloud/kms")> {
  try {
    return await import("@google-cloud/kms");
  } catch (error) {
    throw peerError("@google-cloud/kms", "gcp-kms://", error);
  }
}

/**
 * Refuses settings for one location's endpoint (`cloudkms.<location>.rep.googleapis.com`) with a key of another. A client does
 * not tell its endpoint.
 *
 * @throws AwsHmacError `ERR_KMS_MISMATCH`
 */
export function checkGcpLocation(config: GcpKmsClientConfig | undefined, { location }: GcpKeyName): void {
  const [, actual] = /^cloudkms\.([\da-z-]+)\.rep\./.exec(config?.apiEndpoint ?? "") ?? [];
  if (actual !== undefined && actual !== location) {
    throw new AwsHmacError(
      "ERR_KMS_MISMATCH",
      `clientConfig.apiEndpoint is for location ${actual}, the key's name for ${location}: correct one of them`,
    );
  }
}

/** One call of Cloud KMS. */
export interface GcpCall {
  method: "encrypt" | "decrypt";
  request: { name: string; [field: string]: unknown };
  /** Milliseconds for all of it, retries included. */
  timeout: number;
  signal: AbortSignal | undefined;
}

/** What a call answers with: the message's fields. */
export type GcpAnswer = Readonly<Record<string, unknown>>;

/** The call of a method as google-gax makes it. */
type InnerCall = (request: object, options: object) => Promise<[GcpAnswer]> & { cancel?(): void };

/**
 * Makes a call within its time; rejects with this package's errors, or with the caller's reason to abort.
 *
 * @param open gives the client
 * @param use takes of the answer what is wanted
 */
export async function callGcpKms<T>(
  { method, request, timeout, signal }: GcpCall,
  open: () => Promise<Opened>,
  use: (answer: GcpAnswer, signal: AbortSignal) => T,
): Promise<T> {
  const operation = method === "encrypt" ? "Encrypt" : "Decrypt";
  const late = (): KmsError =>
    new KmsError("ERR_TIMEOUT", `Cloud KMS ${operation}: not done within ${timeout} ms (option timeout)`, {
      ...{ operation, reason: "", retryable: true },
    });
  const send = async (deadline: AbortSignal): Promise<T> => {
    const { client, close } = await open();
    try {
      await client.initialize();
      deadline.throwIfAborted();
      // Not client.encrypt(): that writes the request, plaintext and all, to the log where GOOGLE_SDK_NODE_LOGGING is set.
      const call = (client.innerApiCalls[method] as InnerCall)(request, {
        timeout,
        otherArgs: { headers: { "x-goog-request-params": `name=${encodeURIComponent(request.name)}` } },
      });
      deadline.addEventListener("abort", () => call.cancel?.(), { once: true });
      const [answer] = await call;
      return use(answer, deadline);
    } finally {
      await close();
    }
  };
  try {
    return await withDeadline(timeout, late, send, signal);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw gcpKmsError(operation, error);
  }
}
