import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import { VaultError } from "../core/errors.js";
import { exchange, type Received } from "../core/exchange.js";
import { invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { type Answer, type Bound, type Call, operationOf } from "./call.js";
import { connectionFailure } from "./failure.js";
import { parseJson, type VaultData } from "./json.js";
import type { TextSource, VaultServer } from "./options.js";

const firstPause = 100;
const longestPause = 5_000;

/** Carries calls to one server, with one token or another. */
export class VaultConnection {
  readonly #server: VaultServer;
  readonly #agent: HttpAgent;
  #tls: Promise<object> | undefined;

  constructor(server: VaultServer) {
    this.#server = server;
    const own = { keepAlive: true, maxFreeSockets: 4 }; // Node lets a process end that has idle sockets only
    const { protocol } = server.address;
    this.#agent = server.agent ?? (protocol === "https:" ? new HttpsAgent(own) : new HttpAgent(own));
  }

  /** Makes the call, and again, later and later, while what goes wrong may pass. */
  async send(call: Call, token: string | undefined, { signal, end }: Bound): Promise<Answer> {
    const { retries } = this.#server;
    for (let attempt = 0; ; attempt++) {
      const isLast = (wait: number): boolean => attempt === retries || Date.now() + wait >= end;
      let wait = Math.min(firstPause * 4 ** attempt, longestPause) * (0.5 + Math.random() / 2);
      try {
        const answer = await this.#once(call, token, signal);
        wait = answer.retryAfter ?? wait;
        if (isLast(wait) || !passes(answer, call.repeatable)) return answer;
      } catch (error) {
        if (!(error instanceof MayPass)) throw error;
        if (isLast(wait)) throw error.failure;
      }
      await pause(wait, undefined, { signal });
    }
  }

  close(): void {
    if (this.#server.agent === undefined) this.#agent.destroy();
  }

  async #once(call: Call, token: string | undefined, signal: AbortSignal): Promise<Answer> {
    const { address } = this.#server;
    const first = new URL(`/v1/${call.path}`, address);
    const answer = await this.#exchange(call, first, token, signal);
    const target = redirection(answer, first);
    if (target === undefined) return read(call, answer, token);
    wipe(answer.bytes);
    if (!mayFollow(address, target)) {
      const operation = operationOf(call);
      const message = `${operation}: ${address.origin} redirects to ${target.origin}, where the token is not sent`;
      throw new VaultError("ERR_VAULT_RESPONSE", message, { status: answer.status, operation });
    }
    return read(call, await this.#exchange(call, target, token, signal), token);
  }

  async #exchange(call: Call, url: URL, token: string | undefined, signal: AbortSignal): Promise<Received> {
    const { namespace } = this.#server;
    const { method, body } = call;
    this.#tls ??= this.#readTls();
    const tls = await this.#tls;
    const headers = {
      Accept: "application/json",
      "X-Vault-Request": "true",
      ...(namespace !== "" && { "X-Vault-Namespace": namespace }),
      ...(token !== undefined && { "X-Vault-Token": token }),
      ...(body && { "Content-Type": "application/json", "Content-Length": body.length }),
    };
    try {
      return await exchange({ method, url, headers, body, agent: this.#agent, tls, signal });
    } catch (cause) {
      signal.throwIfAborted();
      if ((cause as NodeJS.ErrnoException).code?.endsWith("_INVALID_PROTOCOL")) {
        throw invalid(`agent must be one for ${url.protocol.slice(0, -1)}, as address is`);
      }
      const { failure, sent } = connectionFailure(operationOf(call), url.origin, cause);
      throw failure.retryable && (call.repeatable || !sent) ? new MayPass(failure) : failure;
    }
  }

  async #readTls(): Promise<object> {
    const { ca, cert, key, servername } = this.#server.tls;
    try {
      const [caText, certText, keyText] = await Promise.all([textOf(ca), textOf(cert), textOf(key)]);
      const given = Object.entries({ ca: caText, cert: certText, key: keyText });
      const pems = Object.fromEntries(given.filter(([, text]) => text !== undefined));
      try {
        if (caText !== undefined) new X509Certificate(caText); // a secure context overlooks what is none
        createSecureContext(pems);
      } catch {
        throw invalid(
          "ca, clientCert or clientKey cannot be used: give PEM text, and a certificate with its own key",
        );
      }
      return servername === undefined ? pems : { ...pems, servername };
    } catch (error) {
      this.#tls = undefined; // the file may come
      throw error;
    }
  }
}

/** The connection failed in a way that may pass. */
class MayPass extends Error {
  constructor(readonly failure: VaultError) {
    super();
  }
}

async function textOf(source: TextSource | undefined): Promise<string | Buffer | undefined> {
  if (source === undefined || "text" in source) return source?.text;
  try {
    return await readFile(source.file);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw invalid(`${source.option}: cannot read ${source.file} (${code})`);
  }
}

function read({ secrets, ...call }: Call, { status, header, bytes }: Received, token = ""): Answer {
  const wait = Number(header("retry-after") ?? Number.NaN) * 1000;
  const retryAfter = Number.isFinite(wait) && wait >= 0 ? wait : undefined;
  const text = status >= 400 ? bytes.toString("utf8") : "";
  try {
    const json = bytes.length === 0 ? undefined : parseJson(bytes, secrets);
    if (json !== undefined && (typeof json !== "object" || json === null)) throw new SyntaxError();
    const { errors } = (json ?? {}) as { errors?: unknown };
    const said = Array.isArray(errors) ? readable(errors.map(String).join("; "), token) : "";
    return { status, json: json as VaultData | undefined, said, retryAfter };
  } catch {
    if (status >= 400) return { status, json: undefined, said: readable(text, token), retryAfter };
    const operation = operationOf(call);
    const message = `${operation}: the answer is not JSON; see that address is a Vault or OpenBao server's`;
    throw new VaultError("ERR_VAULT_RESPONSE", message, { status, operation });
  } finally {
    wipe(bytes);
  }
}

/** A server's words as one line of printable characters, not too long and without the token, should it be echoed. */
function readable(text: string, token: string): string {
  const line = token === "" ? text : text.replaceAll(token, "(token)");
  return line
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim()
    .slice(0, 500);
}

/** Whether an answer may be another one soon. A call that is not repeatable was surely not done where these say so. */
function passes({ status, said }: Answer, repeatable: boolean): boolean {
  if (status === 412 || status === 429) return true;
  return repeatable ? status >= 500 : status === 503 && /sealed|standby/i.test(said);
}

/** Where the answer of a standby server leads; undefined of any other answer. */
function redirection({ status, header }: Received, base: URL): URL | undefined {
  const location = header("location");
  if (![301, 302, 307, 308].includes(status) || location === undefined) return undefined;
  return URL.canParse(location, base.href) ? new URL(location, base) : undefined;
}

/** The active server of a cluster has another name than its standby: https leads to any, http to the same host only. */
function mayFollow(from: URL, to: URL): boolean {
  if (to.username !== "" || to.password !== "" || to.protocol !== from.protocol) return false;
  return to.protocol === "https:" || (to.protocol === "http:" && to.hostname === from.hostname);
}
