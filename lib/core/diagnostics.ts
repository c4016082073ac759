import { type Channel, channel } from "node:diagnostics_channel";

/** What every event of this package says: how long something took and how it ended. No secret, token or message. */
export interface OperationEvent {
  /** Which kind of device holds the key: `tpm`, `pkcs11`, `memory`, …; `custom` for a key that does not say. */
  readonly backend: string;
  /** When it began: milliseconds since 1970, with fractions. */
  readonly startTime: number;
  /** How long it took: milliseconds, with fractions. */
  readonly duration: number;
  /** The error's code, or its name where it has no code; not there after a success. */
  readonly error?: string;
}

/** How a signing key was come by: it was in memory, another caller had asked the device already, or the device was asked. */
export type CacheOutcome = "hit" | "wait" | "miss";

/** One signature, or one signing key given out: channels `aws-hmac:sign` and `aws-hmac:export`. */
export interface SignEvent extends OperationEvent {
  /** Signature Version 4, or 4a. */
  readonly algorithm: "sigv4" | "sigv4a";
  /** The credential scope. */
  readonly scope: {
    /** The UTC day of the signing date: `yyyymmdd`. */
    readonly date: string;
    /** The region; of SigV4a the region set. */
    readonly region: string;
    /** The signing name of the service. */
    readonly service: string;
  };
  /** How the signing key was come by. */
  readonly cache: CacheOutcome;
}

/** One question to the device: channel `aws-hmac:mac`. */
export interface MacEvent extends OperationEvent {
  /** `prefetch`: for the next day, which nobody waits for yet. */
  readonly reason: "signature" | "prefetch";
}

/** Temporary credentials asked of STS: channel `aws-hmac:credentials`. */
export interface CredentialsEvent extends OperationEvent {
  /** The STS action, e.g. `AssumeRole`. */
  readonly action: string;
  /** When the new credentials end; not there after a failure. */
  readonly expiration?: Date;
}

/** One key that a `fallbackKey` asked, or tried to open: channel `aws-hmac:fallback`. */
export interface FallbackEvent extends OperationEvent {
  /** Which of the keys, from 0. */
  readonly position: number;
  /** `mac`: for a caller, whom this key served where there is no `error`; `open`: when the `fallbackKey` was made. */
  readonly reason: "open" | "mac";
}

/** The channels, held here: Node forgets one that nobody holds. */
export const channels: Readonly<Record<"sign" | "export" | "mac" | "credentials" | "fallback", Channel>> = {
  sign: channel("aws-hmac:sign"),
  export: channel("aws-hmac:export"),
  mac: channel("aws-hmac:mac"),
  credentials: channel("aws-hmac:credentials"),
  fallback: channel("aws-hmac:fallback"),
};

/** Which kind of device holds the key. */
export function backendOf(key: { readonly backend?: unknown }): string {
  return typeof key.backend === "string" ? key.backend : "custom";
}

/** What an event says besides time and outcome. */
export type Told<Event extends OperationEvent> = Omit<Event, "startTime" | "duration" | "error">;

/**
 * Does `work`, and tells the channel how it went, in the caller's async context. Where nobody listens when it begins
 * that is one check.
 *
 * @param tell called after the work, with its answer unless it failed
 */
export async function observed<Event extends OperationEvent, Answer>(
  events: Channel,
  tell: (answer?: Answer) => Told<Event>,
  work: () => Answer | Promise<Answer>,
): Promise<Answer> {
  if (!events.hasSubscribers) return work();
  const start = performance.now();
  try {
    const answer = await work();
    publish(events, start, tell(answer));
    return answer;
  } catch (error) {
    publish(events, start, { ...tell(), error: nameOf(error) });
    throw error;
  }
}

/** The same for work that is done at once; nothing is told of an answer that is undefined. */
export function observedNow<Event extends OperationEvent, Answer>(
  events: Channel,
  tell: () => Told<Event>,
  work: () => Answer | undefined,
): Answer | undefined {
  const start = performance.now();
  const answer = work();
  if (answer !== undefined) publish(events, start, tell());
  return answer;
}

function publish(events: Channel, start: number, told: object): void {
  const duration = performance.now() - start;
  events.publish({ ...told, startTime: performance.timeOrigin + start, duration });
}

function nameOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  return typeof code === "string" ? code : typeof name === "string" ? name : "Error";
}
