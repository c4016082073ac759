import { setMaxListeners } from "node:events";
import { untilAborted } from "../core/deadline.js";
import { AwsHmacError, VaultError } from "../core/errors.js";
import { wipe } from "../core/wipe.js";
import { type Answer, type Bound, type Call, operationOf } from "./call.js";
import { VaultConnection } from "./connection.js";
import { answerFailure, refusal } from "./failure.js";
import { jsonBytes, type VaultBody, type VaultData } from "./json.js";
import type { VaultServer } from "./options.js";
import { type Grant, type Granted, TokenSource } from "./token.js";

/** Options of one request. */
export interface VaultRequestOptions {
  /** Aborting rejects the call with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Members of the answer whose strings are secrets: they are given as Buffers with their text, which the caller wipes. */
  secrets?: readonly string[] | undefined;
  /** False where doing it twice is not the same as once: it is repeated only where it was surely not done. True by default. */
  repeatable?: boolean | undefined;
}

/** The client of one Vault or OpenBao server (their HTTP API, /v1/), with its token. */
export class VaultClient {
  readonly #server: VaultServer;
  readonly #connection: VaultConnection;
  readonly #tokens: TokenSource;
  readonly #closing = new AbortController();

  constructor(server: VaultServer) {
    this.#server = server;
    this.#connection = new VaultConnection(server);
    setMaxListeners(0, this.#closing.signal); // many calls at once are no leak to warn of
    this.#tokens = new TokenSource(server, this.#grant, this.#closing.signal);
  }

  /**
   * Makes one call and gives the answer's `data`; `{}` where there is none.
   *
   * @param path behind /v1/, percent-encoded, e.g. `transit/hmac/signer/sha2-256`
   * @param body a Uint8Array in it is the text of a string, for secrets; the caller wipes it
   * @throws VaultError `ERR_VAULT_CONNECTION`, `ERR_VAULT_TLS`, `ERR_VAULT_TOKEN`, `ERR_VAULT_DENIED`, `ERR_VAULT_MOUNT`,
   *   `ERR_VAULT_VERSION`, `ERR_VAULT_SEALED`, `ERR_VAULT_UNAVAILABLE`, `ERR_VAULT_RESPONSE`, `ERR_VAULT`,
   *   `ERR_KEY_NOT_FOUND`, `ERR_KEY_EXISTS`, `ERR_MESSAGE_LENGTH`, `ERR_TIMEOUT`
   * @throws AwsHmacError `ERR_CLOSED`, `ERR_INVALID_ARGUMENT` of a file of certificates that cannot be read
   */
  async request(
    method: Call["method"],
    path: string,
    body?: VaultBody,
    { signal, secrets = [], repeatable = true }: VaultRequestOptions = {},
  ): Promise<VaultData> {
    const bytes = body === undefined ? undefined : jsonBytes(body);
    const call = { method, path, body: bytes, secrets, repeatable };
    try {
      const { json } = await this.#bounded(call, signal, (bound) => this.#authorized(call, bound));
      return (json?.data ?? {}) as VaultData;
    } finally {
      wipe(bytes);
    }
  }

  /** Breaks off what is in flight, closes the connections and wipes the tokens. Idempotent. */
  close(): void {
    this.#closing.abort(new AwsHmacError("ERR_CLOSED", "the connection to the server is closed"));
    this.#connection.close();
  }

  /** A refusal is answered once with another token, where there is one. */
  async #authorized(call: Call, bound: Bound): Promise<Answer> {
    const token = await untilAborted(bound.signal, () => this.#tokens.current());
    const answer = await this.#connection.send(call, token, bound);
    if (answer.status !== 403) return answer;
    const other =
      token === undefined ? undefined : await untilAborted(bound.signal, () => this.#tokens.after(token));
    if (other === undefined) throw await this.#refusal(call, answer, token, bound);
    const second = await this.#connection.send(call, other, bound);
    if (second.status !== 403) return second;
    this.#tokens.refusedAgain();
    throw await this.#refusal(call, second, other, bound);
  }

  /** The server says the same of a bad token and of a missing right: whether it knows the token tells them apart. */
  async #refusal(call: Call, { said }: Answer, token: string | undefined, bound: Bound): Promise<VaultError> {
    if (token === undefined) return refusal(call, false, said);
    const secrets = ["id", "accessor"];
    const self = {
      method: "GET",
      path: "auth/token/lookup-self",
      body: undefined,
      secrets,
      repeatable: true,
    };
    const { status, json } = await this.#connection.send(self as Call, token, bound);
    const { id, accessor } = (json?.data ?? {}) as { id?: Buffer; accessor?: Buffer };
    wipe(id, accessor);
    return refusal(call, status === 200, said);
  }

  readonly #grant: Grant = async (path, body, token, signal): Promise<Granted> => {
    const bytes = jsonBytes(body);
    const secrets = ["client_token", "accessor"];
    // A login may use up the only use of a secret ID: it is not done twice.
    const call = { method: "POST", path, body: bytes, secrets, repeatable: false } as const;
    try {
      const { json } = await this.#bounded(call, signal, async (bound) => {
        const answer = await this.#connection.send(call, token, bound);
        if (answer.status !== 400 && answer.status !== 403) return answer;
        const message = `${operationOf(call)}: refused (the server: ${answer.status}, ${answer.said})`;
        const about = { status: answer.status, operation: operationOf(call) };
        throw new VaultError("ERR_VAULT_TOKEN", message, about);
      });
      const { client_token, accessor, lease_duration, renewable } = (json?.auth ?? {}) as VaultData;
      if (accessor instanceof Buffer) wipe(accessor);
      return {
        token: client_token instanceof Buffer ? client_token : undefined,
        lease: typeof lease_duration === "number" ? lease_duration : 0,
        renewable: renewable === true,
      };
    } finally {
      wipe(bytes);
    }
  };

  /** Bounds a call in time and by signals; an answer other than 2xx is an error. */
  async #bounded(
    call: Call,
    signal: AbortSignal | undefined,
    work: (bound: Bound) => Promise<Answer>,
  ): Promise<Answer> {
    signal?.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const { timeout, namespace } = this.#server;
    const operation = operationOf(call);
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal?.reason);
    const onClose = (): void => stop.abort(this.#closing.signal.reason);
    const timer = setTimeout(() => {
      const message = `${operation}: no answer within ${timeout} ms (option timeout)`;
      stop.abort(new VaultError("ERR_TIMEOUT", message, { status: 0, operation, retryable: true }));
    }, timeout);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#closing.signal.addEventListener("abort", onClose, { once: true });
    try {
      const answer = await work({ signal: stop.signal, end: Date.now() + timeout });
      const { status, said } = answer;
      if (status >= 200 && status < 300) return answer;
      throw answerFailure(operation, status, said, namespace);
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#closing.signal.removeEventListener("abort", onClose);
    }
  }
}
