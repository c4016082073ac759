import type { HmacKey } from "../../lib/core/hmac-key.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { runChild } from "../lifecycle/run-child.js";
import { commands } from "../support/interposer.js";
import { until } from "../support/process.js";
import { type Answer, codeOf, message, type Relay, withRelay } from "../support/relay.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

/** TPM_RC (TCG TPM 2.0 Part 2, 6.6.3). */
const busy = { yielded: 0x908, testing: 0x90a, retry: 0x922 } as const;
const names = Object.keys(busy) as (keyof typeof busy)[];
const long = Buffer.alloc(3000, 1);

/** A TPM that answers each command so, `times` in a row, before it does it. ESYS itself sends each five times. */
const busyAtFirst = (rc: number, times: number): Answer => {
  let [last, seen] = [0, 0];
  return (command, ask) => {
    seen = codeOf(command) === last ? seen + 1 : 1;
    last = codeOf(command);
    if (seen <= times) return message(rc);
    seen = 0;
    return ask(command);
  };
};
/** One that never gets to these. */
const alwaysBusy =
  (...codes: number[]): Answer =>
  (command, ask) =>
    codes.includes(codeOf(command)) ? message(busy.retry) : ask(command);
const noMore: Answer = (command, ask) => ask(command);

describeWith(["swtpm", "tpm2-tools"], "a busy TPM", () => {
  const suite = tpmSuite();
  const auth = { password };
  const refused = { name: "TpmError", code: "ERR_TPM_BUSY", rc: busy.retry, rcName: "TPM_RC_RETRY" };
  let pem: string;

  beforeAll(async () => {
    ({ pem } = await importTpmKey(Buffer.from(secret), {
      tcti: suite.tcti,
      auth,
      noDA: true,
      output: "pem",
    }));
  });

  /** A key of the PEM, used through a relay, and closed in the end. */
  const withKey = (use: (key: HmacKey, wire: Relay) => Promise<void>): Promise<void> =>
    withRelay(suite.tcti, async (wire) => {
      const key = await suite.open({ tcti: wire.tcti, auth, pem });
      try {
        await use(key, wire);
      } finally {
        await key.close();
      }
    });

  test.each(names)("is asked again, whatever it is asked: %s", async (name) => {
    await withRelay(suite.tcti, async ({ tcti, answer, count }) => {
      answer(busyAtFirst(busy[name], 6));
      await importTpmKey(Buffer.from(secret), { tcti, auth, handle });
      for (const place of [{ handle }, { pem }]) {
        for (const encryption of ["session", "none"] as const) {
          const key = await suite.open({ tcti, auth, encryption, ...place });
          expect([await macOf(key, day), await macOf(key, long)]).toEqual([expected(day), expected(long)]);
          await key.close();
        }
      }
      expect(count(commands.hmac)).toBeGreaterThanOrEqual(7 * 4);
    });
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
  });

  test("is given up after 2.5 seconds, by all who wait, and is asked again by the next call", () =>
    withKey(async (key, wire) => {
      wire.answer(alwaysBusy(commands.hmac));
      const started = performance.now();
      const settled = await Promise.allSettled(Array.from({ length: 64 }, () => key.mac(day)));
      const took = performance.now() - started;
      for (const result of settled) {
        expect(result).toMatchObject({ status: "rejected", reason: { ...refused, retryable: true } });
      }
      expect(took).toBeGreaterThan(2_500);
      expect(took).toBeLessThan(5_000);
      expect(wire.count(commands.hmac)).toBeLessThanOrEqual(5 * 9);
      const sessions = wire.count(commands.startAuthSession);
      wire.answer(noMore);
      expect(await macOf(key, day)).toBe(expected(day));
      expect(wire.count(commands.startAuthSession)).toBe(sessions);
    }));

  test("is given up by an opening and an import too", () =>
    withRelay(suite.tcti, async ({ tcti, answer }) => {
      answer(alwaysBusy(commands.createPrimary));
      const outcomes = await Promise.allSettled([
        suite.open({ tcti, auth, pem }),
        importTpmKey(Buffer.from(secret), { tcti, auth, output: "pem" }),
      ]);
      for (const outcome of outcomes) expect(outcome).toMatchObject({ status: "rejected", reason: refused });
    }));

  test("a signal ends the wait, and the next call is not kept waiting", () =>
    withKey(async (key, wire) => {
      wire.answer(alwaysBusy(commands.hmac));
      const abort = new AbortController();
      const outcome = key.mac(day, { signal: abort.signal }).catch((error: unknown) => error);
      const next = macOf(key, day);
      await until("the longest pause", () => wire.count(commands.hmac) === 5 * 8); // 1.28 s
      wire.answer(noMore);
      const started = performance.now();
      abort.abort(new Error("changed my mind"));
      expect(await outcome).toBe(abort.signal.reason);
      expect(await next).toBe(expected(day));
      expect(performance.now() - started).toBeLessThan(1_000);
    }));

  test("keeps close() for its 2.5 seconds, and nothing of ours is left", () =>
    withKey(async (key, wire) => {
      wire.answer(alwaysBusy(commands.hmac));
      const outcomes = Promise.allSettled([key.mac(day), key.mac(day)]);
      const started = performance.now();
      await key.close();
      expect(performance.now() - started).toBeLessThan(5_000);
      for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: refused });
      expect(wire.count(commands.flushContext)).toBe(3); // the parent, the session, the key
    }));

  test("does not keep the process from its end, and nothing of ours is left", () =>
    withRelay(suite.tcti, async ({ tcti, answer, count }) => {
      answer(alwaysBusy(commands.hmac));
      let started = 0;
      const isBusy = until("the first MAC", () => count(commands.hmac) >= 5).then(() => {
        started = performance.now();
      });
      const ended = runChild("exit when told to, with work in flight", { tpm: { tcti, auth, pem } }, isBusy);
      expect(await ended).toEqual({ code: 7, signal: null, stdout: "", stderr: "" });
      expect(performance.now() - started).toBeLessThan(2_000);
      expect(count(commands.flushContext)).toBe(3);
    }));
});
