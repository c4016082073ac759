import { createHmac } from "node:crypto";
import fc from "fast-check";
import { AwsHmacError, type HmacKey, Pkcs11Error } from "../../../lib/index.js";
import { openFallback } from "../../../lib/keys/fallback.js";
import { cameOf, type Outcome, ScriptedKey } from "../../support/scripted-key.js";

// Whatever the keys do, a call ends with the right MAC or with the error that the keys' answers make right.

const secrets = ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "another+secret+access+key+of+forty+chars"];
const retryAfter = 1000;

const unavailable: Error[] = [
  new AwsHmacError("ERR_TPM_CONNECTION", "away", { retryable: true }),
  new AwsHmacError("ERR_TOKEN_NOT_FOUND", "gone"),
  Object.assign(new Error("refused"), { code: "ECONNREFUSED" }),
];
const refusals = [
  new AwsHmacError("ERR_TPM_AUTH", "wrong password"),
  new Pkcs11Error("ERR_PIN_INCORRECT", "wrong PIN", {
    rv: 0xa0,
    rvName: "CKR_PIN_INCORRECT",
    operation: "C_Login",
  }),
  new Error("says nothing"),
];
const isAway = (outcome: Outcome): boolean => outcome === "hangs" || unavailable.includes(outcome as Error);

const outcome = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Outcome>("answers") },
  { weight: 4, arbitrary: fc.constantFrom<Outcome>(...unavailable) },
  { weight: 1, arbitrary: fc.constant<Outcome>("hangs") },
  { weight: 1, arbitrary: fc.constantFrom<Outcome>(...refusals) },
);
const scripted = fc.record({
  secret: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  script: fc.array(outcome, { maxLength: 12 }),
});
interface Story {
  keys: { secret: number; script: Outcome[] }[];
  /** Milliseconds before each call. */
  pauses: number[];
}
const story: fc.Arbitrary<Story> = fc.record({
  keys: fc.array(scripted, { minLength: 1, maxLength: 3 }),
  pauses: fc.array(fc.constantFrom(0, 1, retryAfter), { minLength: 1, maxLength: 8 }),
});

const mac = (secret: number, message: Buffer): string =>
  createHmac("sha256", `AWS4${secrets[secret]}`).update(message).digest("hex");

/** What opening must come to, by what the keys did: the secret that counts, or a code or an error. */
function opening(came: Outcome[], held: number[]): { secret: number } | { error: unknown } {
  const refusal = came.find((one) => one !== "answers" && !isAway(one));
  if (refusal) return { error: refusal };
  const answering = held.filter((_, n) => came[n] === "answers");
  if (answering.length === 0) return { error: expect.objectContaining({ code: "ERR_FALLBACK_UNAVAILABLE" }) };
  if (new Set(answering).size > 1)
    return { error: expect.objectContaining({ code: "ERR_FALLBACK_MISMATCH" }) };
  return { secret: answering[0] as number };
}

/** What a call must come to, by what the keys did while it was made. */
function ending(came: Outcome[][], held: number[], secret: number): { served: number } | { error: unknown } {
  const last = came.map((calls) => calls.at(-1));
  const refusal = came.flat().find((one) => one !== "answers" && !isAway(one));
  if (refusal) return { error: refusal };
  const served = last.findIndex((one, n) => one === "answers" && held[n] === secret);
  if (served >= 0) return { served };
  const differs = last.some((one, n) => one === "answers" && held[n] !== secret);
  expect(came.every((calls) => calls.length > 0)).toBe(true); // nobody was left out before giving up
  const code = differs ? "ERR_FALLBACK_MISMATCH" : "ERR_FALLBACK_UNAVAILABLE";
  return { error: expect.objectContaining({ code }) };
}

/** Those that were asked are the first in this order. */
function expectInTurn(came: Outcome[][], order: number[]): void {
  const asked = order.map((position) => (came[position] as Outcome[]).length > 0);
  expect(asked.lastIndexOf(true)).toBe(asked.filter(Boolean).length - 1);
}

test("the right MAC or the right error, and each key in its turn", async () => {
  let answered = 0;
  let failed = 0;
  let warned = 0;
  const warn = ({ code }: AwsHmacError): void => {
    expect(code).toBe("ERR_FALLBACK_MISMATCH");
    warned += 1;
  };
  const follow = async ({ keys, pauses }: Story): Promise<void> => {
    let now = 0;
    const held = keys.map((key) => key.secret);
    const members = keys.map(({ secret, script }) =>
      Object.assign(new ScriptedKey(secrets[secret] as string), { script: [...script] }),
    );
    const opened = await openFallback(members, { timeout: 5, retryAfter }, { now: () => now, warn }).catch(
      (error) => ({
        error,
      }),
    );
    const first = cameOf(members).map((calls) => calls[0] as Outcome);
    const must = opening(first, held);
    if ("error" in must) {
      expect(opened).toEqual({ error: must.error });
      expect(members.map(({ closings }) => closings)).toEqual(members.map(() => 1));
      return;
    }
    const key = opened as HmacKey;
    // Since when each is left alone; those that did not answer are, from the opening on.
    const downSince = first.map((one) => (one === "answers" ? -retryAfter : 0));
    const order = (time: number): number[] => {
      const positions = members.map((_, position) => position);
      const ready = positions.filter((position) => time - (downSince[position] as number) >= retryAfter);
      return [...ready, ...positions.filter((position) => !ready.includes(position))];
    };
    for (const [n, pause] of pauses.entries()) {
      now += pause;
      const message = Buffer.from(`message ${n}`);
      const got = await key.mac(message).then(
        (bytes) => ({ mac: Buffer.from(bytes).toString("hex") }),
        (error: unknown) => ({ error }),
      );
      const came = cameOf(members);
      const end = ending(came, held, must.secret);
      expect(got).toEqual("error" in end ? end : { mac: mac(must.secret, message) });
      if ("error" in end) failed += 1;
      else answered += 1;
      expectInTurn(came, order(now));
      for (const [position, calls] of came.entries()) {
        const one = calls.at(-1);
        if (one === undefined) continue;
        if (isAway(one) || (one === "answers" && held[position] !== must.secret)) downSince[position] = now;
        else downSince[position] = -retryAfter;
      }
    }
    await key.close();
    expect(members.map(({ closings }) => closings)).toEqual(members.map(() => 1));
  };
  await fc.assert(fc.asyncProperty(story, follow), { numRuns: 400 });
  expect(answered).toBeGreaterThan(100);
  expect(failed).toBeGreaterThan(30);
  expect(warned).toBeGreaterThan(0);
}, 120_000);
