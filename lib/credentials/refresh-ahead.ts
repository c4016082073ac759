import type { AwsCredentialIdentity } from "@smithy/types";
import { AwsHmacError } from "../core/errors.js";
import { longestTimer } from "../core/validate.js";
import { type Clock, systemClock } from "../sigv4/clock.js";

/** Temporary credentials: these always say when they end. */
export interface TemporaryCredentials extends AwsCredentialIdentity {
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** What a provider may be asked with. */
export interface TemporaryCredentialsRequest {
  /** Asks for new credentials although the old are still good. */
  forceRefresh?: boolean | undefined;
  /** Given along by SDK clients, and not used: credentials do not depend on who asks. */
  callerClientConfig?: unknown;
}

/** Gives temporary credentials; fits wherever an AWS SDK v3 client takes `credentials`, and into a credential chain. */
export type TemporaryCredentialsProvider = (
  request?: TemporaryCredentialsRequest,
) => Promise<TemporaryCredentials>;

/** What {@link refreshAhead} needs. */
export interface RefreshAheadOptions {
  /** Fetches new credentials. Called once at a time. `lifetime`: the milliseconds that they are meant to be good. */
  load(): Promise<{ credentials: TemporaryCredentials; lifetime: number }>;
  /** Who refreshes ahead: a timer, only a caller (where a person is asked for a code), or nobody. */
  ahead: "timer" | "caller" | "nobody";
  /** Aborted: no more loading. */
  closed?: AbortSignal | undefined;
  /** Told of a refresh that failed while the last credentials were still good. */
  onRefreshFailed(error: unknown): void;
  /** Milliseconds since 1970, in the time that `expiration` is told in. */
  now(): number;
  /** Runs a task once after so many milliseconds, without keeping the process alive; the result cancels it. */
  after?: Clock["after"] | undefined;
  /** From 0 to 1. */
  random?: (() => number) | undefined;
}

/** All in milliseconds; docs/credentials.md tells them. */
export const refreshTimes = {
  /** At most so long before the end, half as much again by chance: a fleet does not come at once. */
  longestLead: 5 * 60_000,
  /** The lead's part of a short lifetime. */
  leadOfLifetime: 1 / 4,
  /** Between tries while the last credentials are good: doubled each time, with up to half as much again by chance. */
  firstPause: 5_000,
  longestPause: 60_000,
} as const;

/**
 * Keeps the last good credentials and serves them until they end. Ahead of that they are refreshed, and nobody waits: by a
 * timer if somebody asked since the timer's last refresh, else once somebody asks. However many callers wait for
 * credentials, `load` runs once; a failure is never kept.
 */
export function refreshAhead(options: RefreshAheadOptions): TemporaryCredentialsProvider {
  const refresher = new Refresher(options);
  return (asked) => refresher.provide(asked?.forceRefresh ?? false);
}

class Refresher {
  readonly #options: RefreshAheadOptions;
  #last: TemporaryCredentials | undefined;
  #flight: Promise<TemporaryCredentials> | undefined;
  #refreshAt = 0;
  #failures = 0;
  #asked = false;
  #cancelTimer: (() => void) | undefined;

  constructor(options: RefreshAheadOptions) {
    this.#options = options;
  }

  async provide(forceRefresh: boolean): Promise<TemporaryCredentials> {
    this.#asked = true;
    const good = this.#good();
    if (!good || forceRefresh) return copy(await this.#refresh());
    if (this.#due()) this.#refreshBehind();
    return copy(good);
  }

  #good(): TemporaryCredentials | undefined {
    return this.#last && this.#options.now() < this.#last.expiration.getTime() ? this.#last : undefined;
  }

  #due(): boolean {
    const { ahead, now } = this.#options;
    return ahead !== "nobody" && now() >= this.#refreshAt;
  }

  #refresh(): Promise<TemporaryCredentials> {
    this.#flight ??= this.#load().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #load(): Promise<TemporaryCredentials> {
    if (this.#options.closed?.aborted) {
      throw new AwsHmacError("ERR_CLOSED", "the key is closed: no new credentials");
    }
    const { credentials, lifetime } = await this.#options.load();
    this.#last = credentials;
    this.#failures = 0;
    const lead = Math.min(refreshTimes.longestLead, lifetime * refreshTimes.leadOfLifetime);
    this.#refreshIn(lifetime - this.#longer(lead));
    return credentials;
  }

  /** Whether or not it works, nobody waits. */
  #refreshBehind(): void {
    if (this.#flight || this.#options.closed?.aborted) return;
    this.#refresh().catch((error) => {
      const pause = Math.min(refreshTimes.longestPause, refreshTimes.firstPause * 2 ** this.#failures++);
      this.#asked = true; // who wanted these credentials has not got them yet
      this.#refreshIn(this.#longer(pause));
      this.#options.onRefreshFailed(error);
    });
  }

  #refreshIn(ms: number): void {
    this.#refreshAt = this.#options.now() + ms;
    this.#wakeIn(ms);
  }

  /** The timer does not hold a provider that nobody has any more. */
  #wakeIn(ms: number): void {
    this.#cancelTimer?.();
    if (this.#options.ahead !== "timer") return;
    const weak = new WeakRef(this);
    const wake = (): void => {
      const refresher = weak.deref();
      if (refresher) refresher.#wake();
    };
    this.#cancelTimer = (this.#options.after ?? systemClock.after)(Math.min(ms, longestTimer), wake);
  }

  #wake(): void {
    if (!this.#due()) {
      this.#wakeIn(this.#refreshAt - this.#options.now()); // the clock was set back, or a timer cannot be so long
      return;
    }
    if (!this.#asked || !this.#good()) return;
    this.#asked = false;
    this.#refreshBehind();
  }

  #longer(time: number): number {
    return time * (1 + (this.#options.random ?? Math.random)() / 2);
  }
}

/** The SDK writes into the credentials that it is given. */
function copy(credentials: TemporaryCredentials): TemporaryCredentials {
  return { ...credentials, expiration: new Date(credentials.expiration) };
}
