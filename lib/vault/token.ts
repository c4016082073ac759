import { withDeadline } from "../core/deadline.js";
import { AwsHmacError } from "../core/errors.js";
import { invalid, longestTimer, type Secret, secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import type { VaultBody } from "./json.js";
import type { VaultServer } from "./options.js";
import { isTokenText, longestText, readSecretFile, unusable } from "./secret-file.js";

/** A token that a login gave. */
export interface VaultLogin {
  /** The token. */
  token: Secret;
  /** When it ends; without it, it is used until the server refuses it. */
  expiration?: Date | undefined;
  /** Whether it can be renewed, which is then done once two thirds of its time are over; false by default. */
  renewable?: boolean | undefined;
}

/** What a function that gives tokens may use. */
export interface VaultTokenContext {
  /** True when the server has refused the token that the function gave last. */
  readonly refused: boolean;
  /** Aborted when the login takes longer than `timeout`, or the key is closed. */
  readonly signal: AbortSignal;
  /**
   * Logs in to the server, without a token: `POST /v1/<path>`, e.g. `auth/jwt/login`. What the body says as a Uint8Array is
   * sent as text. The token is wiped after the function's end.
   */
  login(path: string, body: VaultBody): Promise<VaultLogin>;
}

/**
 * Gives a token. What it gives is used until it expires or the server refuses it; then it is asked once more. However many
 * calls wait, it is asked once.
 */
export type VaultTokenCallback = (
  context: VaultTokenContext,
) => string | Uint8Array | VaultLogin | Promise<string | Uint8Array | VaultLogin>;

/** What a server says of a new or renewed token (`auth` in its answer). */
export interface Granted {
  readonly token?: Buffer | undefined;
  /** Seconds; 0 for one that never ends. */
  readonly lease: number;
  readonly renewable: boolean;
}

/** Logs in, or renews `token`, at `path`. */
export type Grant = (
  path: string,
  body: VaultBody,
  token: string | undefined,
  signal: AbortSignal,
) => Promise<Granted>;

interface Held {
  readonly token: Buffer;
  /** When to ask for another one: milliseconds since 1970. */
  readonly until: number;
}

/** The least time between two questions for a token because of refusals, of which the first did not help: ms. */
const patience = 10_000;
/** What is left of a lease when another token is asked for, and when it is renewed. */
const askAt = 0.9;
const renewAt = 2 / 3;

/** The tokens of one client. They are strings only in the requests' headers. */
export class TokenSource {
  readonly #from: VaultServer["token"];
  readonly #timeout: number;
  readonly #grant: Grant;
  readonly #closing: AbortSignal;
  #held: Held | undefined;
  #asking: Promise<Held> | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #nextAsk = 0;

  constructor({ token, timeout }: VaultServer, grant: Grant, closing: AbortSignal) {
    this.#from = token;
    this.#timeout = timeout;
    this.#grant = grant;
    this.#closing = closing;
    closing.addEventListener("abort", () => this.#wipe(), { once: true });
  }

  /** The token to send; undefined where none is sent. */
  async current(): Promise<string | undefined> {
    const from = this.#from;
    if (from.kind === "none") return undefined;
    if (from.kind === "fixed") return from.token.toString("latin1");
    if (from.kind === "file") return readTokenFile(from.file);
    const held = this.#held && Date.now() < this.#held.until ? this.#held : await this.#ask(false);
    return held.token.toString("latin1");
  }

  /** Another token than the one that was refused; undefined where there is none. */
  async after(refused: string): Promise<string | undefined> {
    if (this.#from.kind === "callback") {
      const isHeld = this.#held === undefined || this.#held.token.toString("latin1") === refused;
      if (isHeld && Date.now() < this.#nextAsk) return undefined;
      if (isHeld) await this.#ask(true);
    }
    const next = await this.current();
    return next === refused ? undefined : next;
  }

  /** Called when a token of `after` was refused too: it is not the token, so logins shall not be repeated for each call. */
  refusedAgain(): void {
    this.#nextAsk = Date.now() + patience;
  }

  #ask(refused: boolean): Promise<Held> {
    this.#asking ??= this.#login(refused).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #login(refused: boolean): Promise<Held> {
    if (this.#from.kind !== "callback") throw new TypeError("no callback");
    const { callback } = this.#from;
    const ours: Uint8Array[] = [];
    const begin = Date.now();
    try {
      const late = (): Error =>
        new AwsHmacError("ERR_TIMEOUT", `token gave none within ${this.#timeout} ms (option timeout)`, {
          retryable: true,
        });
      const answer = await withDeadline(this.#timeout, late, async (deadline) => {
        const signal = AbortSignal.any([deadline, this.#closing]);
        const login = async (path: string, body: VaultBody): Promise<VaultLogin> => {
          const { token, lease, renewable } = await this.#grant(path, body, undefined, signal);
          if (!token) throw unusable("the login's answer has none");
          ours.push(token);
          return { token, renewable, ...(lease > 0 && { expiration: new Date(Date.now() + lease * 1000) }) };
        };
        return callback({ refused, signal, login });
      });
      const { token, expiration, renewable } = checkLogin(answer);
      const bytes = secretBytes("the token that token gave", token);
      try {
        checkTokenText("the token that token gave", bytes);
        if (this.#closing.aborted) throw this.#closing.reason;
      } catch (error) {
        wipe(bytes);
        throw error;
      }
      return this.#hold(bytes, begin, expiration?.getTime() ?? Number.POSITIVE_INFINITY, renewable ?? false);
    } catch (error) {
      if (error instanceof AwsHmacError) throw error;
      throw unusable("the function that gives it failed", error);
    } finally {
      wipe(...ours);
    }
  }

  #hold(token: Buffer, begin: number, end: number, renewable: boolean): Held {
    const lease = end - begin;
    const held = { token, until: begin + lease * askAt };
    wipe(this.#held?.token !== token ? this.#held?.token : undefined);
    this.#held = held;
    clearTimeout(this.#renewal);
    if (renewable && Number.isFinite(lease)) {
      const wait = Math.max(0, begin + lease * renewAt - Date.now());
      this.#renewal = setTimeout(() => void this.#renew(held, lease), Math.min(wait, longestTimer)).unref();
    }
    return held;
  }

  /** A token that cannot be renewed for half its time (it nears its max TTL), or not at all, is replaced before it ends. */
  async #renew(held: Held, lease: number): Promise<void> {
    const begin = Date.now();
    const text = held.token.toString("latin1");
    try {
      const renewed = await this.#grant("auth/token/renew-self", {}, text, this.#closing);
      wipe(renewed.token);
      const length = renewed.lease * 1000;
      if (this.#held !== held || this.#closing.aborted || length < lease / 2) return;
      this.#hold(held.token, begin, begin + length, renewed.renewable);
    } catch (error) {
      // The token is used while it lasts. What is wrong shows to whoever asks for the next one.
      if (!(error instanceof AwsHmacError) && error !== this.#closing.reason) throw error;
    }
  }

  #wipe(): void {
    clearTimeout(this.#renewal);
    wipe(this.#held?.token, this.#from.kind === "fixed" ? this.#from.token : undefined);
    this.#held = undefined;
  }
}

function checkLogin(answer: Secret | VaultLogin): VaultLogin {
  if (typeof answer === "string" || answer instanceof Uint8Array) return { token: answer };
  if (typeof answer !== "object" || answer === null) throw unusable("the function gave none");
  const { expiration } = answer;
  if (expiration !== undefined && !(expiration instanceof Date && expiration.getTime() > 0)) {
    throw invalid("expiration of the token must be a Date");
  }
  return answer;
}

async function readTokenFile(file: string): Promise<string> {
  const bytes = await readSecretFile("tokenFile", file, "is the agent running?");
  try {
    return bytes.toString("latin1");
  } finally {
    wipe(bytes);
  }
}

/**
 * @param what what the text is, for the error
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` of a text that is no token
 */
export function checkTokenText(what: string, text: Buffer): void {
  if (isTokenText(text)) return;
  throw invalid(
    `${what} must be 1..${longestText} printable ASCII characters without white space: check for a trailing newline`,
  );
}
