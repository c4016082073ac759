import { randomBytes } from "node:crypto";
import { AwsHmacError } from "../../core/errors.js";
import type { HmacKey, MacOptions } from "../../core/hmac-key.js";
import { invalid } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import { type Member, mismatch, type Proof } from "./member.js";
import { isUnavailable } from "./unavailable.js";

/** A member that gave no MAC, and why. */
interface Failure {
  member: Member;
  error: unknown;
}

/** How a fallback is opened. */
export interface FallbackTerms {
  /** All must answer. */
  readonly requireAll: boolean;
  /** Keys that were given are closed too, in the end and where opening rejects. */
  readonly closeKeys: boolean;
  /** Told of a key that differs, once for each time that it turns out. */
  warn(error: AwsHmacError): void;
}

/** The first of several keys that can answer. */
export class FallbackKey implements HmacKey {
  readonly backend = "fallback";
  readonly #members: readonly Member[];
  readonly #terms: FallbackTerms;
  readonly #proof: Proof;
  readonly #closed = new AbortController();
  readonly #calls = new Set<Promise<unknown>>();
  readonly #warned = new Set<Member>();
  #closing: Promise<void> | undefined;

  private constructor(members: readonly Member[], proof: Proof, terms: FallbackTerms) {
    this.#members = members;
    this.#proof = proof;
    this.#terms = terms;
  }

  /** The key of these members, after a look at each: those that answer must agree, and at least one must. */
  static async open(members: readonly Member[], terms: FallbackTerms): Promise<FallbackKey> {
    try {
      const key = new FallbackKey(members, await prove(members, terms.requireAll), terms);
      for (const member of members) key.#closeWith(member);
      return key;
    } catch (error) {
      await closeAll(members, terms.closeKeys).catch(() => undefined); // the first error is the one to tell
      throw error;
    }
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  mac(message: Uint8Array, { signal }: MacOptions = {}): Promise<Uint8Array> {
    if (!(message instanceof Uint8Array)) return Promise.reject(invalid("message must be a Uint8Array"));
    const call = this.#mac(Buffer.from(message), signal); // the caller may change its own when this returns
    this.#calls.add(call);
    const forget = (): void => void this.#calls.delete(call);
    call.then(forget, forget);
    return call;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #mac(message: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    signal?.throwIfAborted();
    this.#closed.signal.throwIfAborted();
    const failures: Failure[] = [];
    const ready = this.#members.filter((member) => member.ready);
    // Those that are left alone are asked all the same before the call is given up.
    for (const member of [...ready, ...this.#members.filter((one) => !ready.includes(one))]) {
      try {
        const mac = await member.mac(message, "mac", { proof: this.#proof, signal });
        this.#warned.delete(member);
        return mac;
      } catch (error) {
        if (signal?.aborted) throw error;
        const differs = isMismatch(error);
        if (differs) this.#warn(member, error);
        else if (!isUnavailable(error)) {
          member.setUp();
          throw error;
        }
        member.setDown();
        failures.push({ member, error });
      }
    }
    throw failures.find(({ error }) => isMismatch(error))?.error ?? unavailable(failures);
  }

  /** Nothing that was signed is wrong, but somebody must know: once for each time that it turns out. */
  #warn(member: Member, error: AwsHmacError): void {
    if (this.#warned.has(member)) return;
    this.#warned.add(member);
    this.#terms.warn(error);
  }

  /** A key that its owner closes is to sign no more: neither does this one, and caches of it are wiped. */
  #closeWith(member: Member): void {
    const { closed } = member.key ?? {};
    const close = (): void => this.#closed.abort(closedError(`${member.name} of this fallback is closed`));
    if (closed?.aborted) close();
    else closed?.addEventListener("abort", close, { once: true, signal: this.#closed.signal });
  }

  async #close(): Promise<void> {
    this.#closed.abort(closedError("the key is closed"));
    await Promise.allSettled([...this.#calls]);
    await closeAll(this.#members, this.#terms.closeKeys);
    wipe(this.#proof.mac);
  }
}

/** Asks every member for the MAC of one random message. */
async function prove(members: readonly Member[], requireAll: boolean): Promise<Proof> {
  const message = randomBytes(32);
  const outcomes = await Promise.allSettled(members.map((member) => member.mac(message, "open")));
  const answers: { member: Member; mac: Uint8Array }[] = [];
  const failures: Failure[] = [];
  outcomes.forEach((outcome, position) => {
    const member = members[position] as Member;
    if (outcome.status === "fulfilled") answers.push({ member, mac: outcome.value });
    else failures.push({ member, error: outcome.reason });
  });
  const refusal = failures.find(({ error }) => !isUnavailable(error));
  if (refusal) throw refusal.error;
  const [first, ...others] = answers;
  if (!first || (requireAll && failures.length > 0)) throw unavailable(failures);
  const different = others.filter(({ mac }) => !Buffer.from(mac).equals(first.mac));
  if (different.length > 0) {
    const names = [first, ...different].map(({ member }) => member.name).join(" and ");
    throw mismatch(`${names} give different MACs`);
  }
  for (const { member } of answers) member.setProved();
  for (const { member } of failures) member.setDown();
  return { message, mac: first.mac, by: first.member.name };
}

/** Closes all of them, whatever becomes of one; rejects with the first failure. */
async function closeAll(members: readonly Member[], given: boolean): Promise<void> {
  const closings = await Promise.allSettled(members.map((member) => member.close(given)));
  for (const closing of closings) if (closing.status === "rejected") throw closing.reason;
}

function isMismatch(error: unknown): error is AwsHmacError {
  return error instanceof AwsHmacError && error.code === "ERR_FALLBACK_MISMATCH";
}

function unavailable(failures: readonly Failure[]): AwsHmacError {
  const words = failures.map(({ member, error }) => `${member.name}: ${(error as Error).message}`);
  const cause = new AggregateError(failures.map(({ error }) => error));
  return new AwsHmacError("ERR_FALLBACK_UNAVAILABLE", `no key is available: ${words.join("; ")}`, {
    retryable: true,
    cause,
  });
}

function closedError(message: string): AwsHmacError {
  return new AwsHmacError("ERR_CLOSED", message);
}
