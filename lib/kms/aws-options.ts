import type { STSClientConfig } from "@aws-sdk/client-sts";

/** A client of AWS KMS: a `KMSClient` of `@aws-sdk/client-kms`. */
// Declarations that a user's compiler reads name no package that may be missing.
export interface AwsKmsClient {
  /** What the client was made with. */
  readonly config: {
    /** Its region. */
    readonly region: () => Promise<string>;
  };
  /** Sends a command, such as a `DecryptCommand`. */
  send(command: never, options?: { abortSignal?: AbortSignal }): Promise<unknown>;
}

/** The settings of a `KMSClient`: `endpoint`, `credentials`, `maxAttempts`, `requestHandler`, … */
export type AwsKmsClientConfig = Omit<STSClientConfig, OfStsOnly>;

// An STS client's other settings fit.
type OfStsOnly = "useGlobalEndpoint" | "extensions" | "httpAuthSchemes" | "httpAuthSchemeProvider";
