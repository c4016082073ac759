import { setMaxListeners } from "node:events";
import { AwsHmacError, VaultError } from "../../core/errors.js";
import { wipe } from "../../core/wipe.js";
import { toBase64 } from "../../vault/base64.js";
import type { VaultClient } from "../../vault/client.js";
import type { VaultBody, VaultData } from "../../vault/json.js";
import { hmacPath, macOf, type TransitPlace } from "../../vault/transit.js";

/** A call that waits for its MAC. */
interface Waiting {
  /** The message in base64. */
  readonly input: Buffer;
  /** Ends the wait; what comes later has no effect. */
  readonly settle: (outcome: { mac: Buffer } | { error: unknown }) => void;
  isOver: boolean;
  /** The request that it is part of. */
  request?: { left: number; stop(): void } | undefined;
}

// OpenBao takes at most 1000 strings in a request (max_request_json_strings), and each input counts as two.
const mostCalls = 256;
const mostBytes = 1 << 20;
const mostRequests = 4;
const longestQueue = 65_536;

/**
 * Asks Transit for MACs. Calls of one turn of the event loop, and those that come while four requests are under way, share
 * a request (`batch_input`), each with a result of its own.
 */
export class MacBatches {
  readonly #client: VaultClient;
  readonly #place: TransitPlace;
  readonly #version: number;
  readonly #timeout: number;
  readonly #queue = new Set<Waiting>();
  #requests = 0;
  #scheduled = false;

  constructor(client: VaultClient, place: TransitPlace, version: number, timeout: number) {
    this.#client = client;
    this.#place = place;
    this.#version = version;
    this.#timeout = timeout;
  }

  mac(message: Uint8Array, signal: AbortSignal | undefined): Promise<Buffer> {
    if (this.#queue.size >= longestQueue) {
      const message = `more than ${longestQueue} calls wait for the server`;
      return Promise.reject(new AwsHmacError("ERR_QUEUE_FULL", message, { retryable: true }));
    }
    return new Promise((resolve, reject) => {
      const operation = `POST ${hmacPath(this.#place)}`;
      const late = `${operation}: no answer within ${this.#timeout} ms (option timeout)`;
      const drop = (error: unknown): void => {
        waiting.settle({ error });
        this.#queue.delete(waiting);
        if (waiting.request && --waiting.request.left === 0) waiting.request.stop();
      };
      const onAbort = (): void => drop(signal?.reason);
      const timer = setTimeout(
        () => drop(new VaultError("ERR_TIMEOUT", late, { status: 0, operation, retryable: true })),
        this.#timeout,
      );
      const waiting: Waiting = {
        input: toBase64(message),
        isOver: false,
        settle: (outcome) => {
          if (waiting.isOver) return wipe("mac" in outcome ? outcome.mac : undefined);
          waiting.isOver = true;
          clearTimeout(timer);
          signal?.removeEventListener("abort", onAbort);
          if ("mac" in outcome) resolve(outcome.mac);
          else reject(outcome.error);
        },
      };
      if (signal) {
        setMaxListeners(0, signal); // hundreds of calls may share a signal: that is no leak to warn of
        signal.addEventListener("abort", onAbort, { once: true });
      }
      this.#queue.add(waiting);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#requests >= mostRequests || this.#queue.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#requests < mostRequests && this.#queue.size > 0) void this.#request(this.#take());
    });
  }

  #take(): Waiting[] {
    const taken: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#queue) {
      bytes += waiting.input.length;
      if (taken.length > 0 && (taken.length === mostCalls || bytes > mostBytes)) break;
      taken.push(waiting);
      this.#queue.delete(waiting);
    }
    return taken;
  }

  async #request(calls: Waiting[]): Promise<void> {
    this.#requests++;
    try {
      await this.#ask(calls);
    } finally {
      this.#requests--;
      this.#schedule();
    }
  }

  async #ask(calls: Waiting[]): Promise<void> {
    const stopped = new AbortController();
    const request = { left: calls.length, stop: () => stopped.abort() };
    for (const waiting of calls) waiting.request = request;
    const [only] = calls;
    const what: { [member: string]: VaultBody } =
      calls.length === 1 && only
        ? { input: only.input }
        : { batch_input: calls.map(({ input }) => ({ input })) };
    let data: VaultData;
    try {
      const options = { signal: stopped.signal, secrets: ["hmac"] };
      data = await this.#client.request(
        "POST",
        hmacPath(this.#place),
        { ...what, key_version: this.#version },
        options,
      );
    } catch (error) {
      const left = calls.filter(({ isOver }) => !isOver);
      if (calls.length > 1 && (error as AwsHmacError).code === "ERR_MESSAGE_LENGTH") {
        for (const waiting of left) if (!waiting.isOver) await this.#ask([waiting]); // it takes less at once
        return;
      }
      for (const waiting of left) waiting.settle({ error });
      return;
    }
    const { batch_results: list } = data;
    const results = calls.length === 1 ? [data] : Array.isArray(list) ? list : [];
    calls.forEach((waiting, n) => {
      try {
        waiting.settle({ mac: this.#mac(results[n]) });
      } catch (error) {
        waiting.settle({ error });
      }
    });
  }

  #mac(result: unknown): Buffer {
    try {
      return macOf(result, this.#place, this.#version);
    } finally {
      const { hmac } = (result ?? {}) as { hmac?: unknown };
      if (hmac instanceof Buffer) wipe(hmac);
    }
  }
}
