import type { TemporaryCredentials } from "../credentials/refresh-ahead.js";

/**
 * What a `credential_process` prints ("Sourcing credentials with an external process", AWS SDKs and Tools reference). SDKs
 * that do not know `AccountId` pass it over.
 */
export interface ProcessCredentials {
  Version: 1;
  AccessKeyId: string;
  SecretAccessKey: string;
  SessionToken: string;
  /** ISO 8601 in UTC, to the second. */
  Expiration: string;
  AccountId?: string;
}

export function processCredentials(credentials: TemporaryCredentials): ProcessCredentials {
  const { accessKeyId, secretAccessKey, sessionToken, expiration, accountId } = credentials;
  return {
    Version: 1,
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    SessionToken: sessionToken,
    Expiration: isoTime(expiration),
    ...(accountId ? { AccountId: accountId } : {}),
  };
}

/** ISO 8601 in UTC, to the second: not every SDK reads fractions. */
export function isoTime(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
