import type { AwsCredentialIdentity } from "@smithy/types";
import { AwsHmacError } from "../core/errors.js";

/** Temporary credentials: these always say when they end. */
export interface TemporaryCredentials extends AwsCredentialIdentity {
  readonly sessionToken: string;
  readonly expiration: Date;
}

/**
 * Gives temporary credentials; fits wherever an AWS SDK v3 client takes `credentials`. `forceRefresh` asks for new ones
 * although the old are still good.
 */
export type TemporaryCredentialsProvider = (options?: {
  forceRefresh?: boolean | undefined;
}) => Promise<TemporaryCredentials>;

/** What {@link refreshAhead} needs. */
export interface RefreshAheadOptions {
  /** Fetches new credentials. Called once at a time. */
  load(): Promise<TemporaryCredentials>;
  /** Aborted: no more loading. */
  closed?: AbortSignal | undefined;
  /** Told of a refresh that failed while the last credentials were still good. */
  onRefreshFailed(error: unknown): void;
  /** Milliseconds since 1970. */
  now(): number;
}

/** At most so long before the end, and at most the last quarter of the lifetime, is refreshed ahead (milliseconds). */
const longestLead = 5 * 60_000;
/** Between two tries while the last credentials are still good (milliseconds). */
const retryPause = 10_000;

/**
 * Keeps the last good credentials and serves them until they end. Shortly before that the first caller starts a
 * refresh that nobody waits for. However many callers wait for credentials, `load` runs once; a failure is never kept.
 */
export function refreshAhead({
  load,
  closed,
  onRefreshFailed,
  now,
}: RefreshAheadOptions): TemporaryCredentialsProvider {
  let last: { credentials: TemporaryCredentials; refreshAt: number } | undefined;
  let flight: Promise<TemporaryCredentials> | undefined;

  async function fetchNew(): Promise<TemporaryCredentials> {
    if (closed?.aborted) throw new AwsHmacError("ERR_CLOSED", "the key is closed: no new credentials");
    const credentials = await load();
    const start = now();
    const end = credentials.expiration.getTime();
    last = { credentials, refreshAt: end - Math.min(longestLead, Math.max(0, end - start) / 4) };
    return credentials;
  }

  function refresh(): Promise<TemporaryCredentials> {
    flight ??= fetchNew().finally(() => {
      flight = undefined;
    });
    return flight;
  }

  function refreshBehind(): void {
    if (!last || flight || closed?.aborted || now() < last.refreshAt) return;
    last.refreshAt = now() + retryPause;
    refresh().catch(onRefreshFailed);
  }

  return async ({ forceRefresh = false } = {}) => {
    if (!last || forceRefresh || now() >= last.credentials.expiration.getTime()) return copy(await refresh());
    refreshBehind();
    return copy(last.credentials);
  };
}

/** The SDK writes into the credentials that it is given. */
function copy(credentials: TemporaryCredentials): TemporaryCredentials {
  return { ...credentials, expiration: new Date(credentials.expiration) };
}
