import { plainSignature } from "../../support/derived-keys.js";
import { openCache, secret, sign, signNow } from "../../support/key-cache.js";

const today = "20261123";
const tomorrow = "20261124";
const signed = (date: string): string =>
  plainSignature(secret, [date, "eu-central-1", "s3"], "string to sign");

describe("a day ends under load", () => {
  test("one device call, though nothing was signed shortly before midnight", async () => {
    const { cache, key, clock } = openCache();
    await sign(cache);
    await clock.moveTo("2026-11-24T00:00:00Z");
    const signatures = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => sign(cache, { date: i % 2 ? tomorrow : today })),
    );
    expect(key.asked.filter((date) => date === tomorrow)).toHaveLength(1);
    expect(new Set(signatures)).toEqual(new Set([signed(today), signed(tomorrow)]));
  });

  test("one device call, though the one ahead of midnight has no answer yet", async () => {
    const { cache, key, clock } = openCache();
    await clock.moveTo("2026-11-23T23:54:00Z");
    await sign(cache);
    let openGate: () => void = () => undefined;
    key.gate = new Promise((resolve) => {
      openGate = resolve;
    });
    await clock.moveTo("2026-11-24T00:00:00Z");
    const waiting = Array.from({ length: 1000 }, () => sign(cache, { date: tomorrow }));
    expect(await sign(cache)).toBe(signed(today));
    expect(cache.metrics).toMatchObject({ waiting: 1000, deviceCalls: 2 });
    openGate();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([signed(tomorrow)]));
    expect(key.asked).toEqual([today, tomorrow]);
    expect(cache.metrics).toEqual({
      ...{ hits: 1, misses: 1001, deviceCalls: 2, deviceFailures: 0, waiting: 0 },
    });
  });

  test.each(["day", "scope"] as const)(
    "%s: a device that fails then fails tomorrow's signatures only",
    async (mode) => {
      const { cache, key } = openCache(mode);
      await sign(cache);
      const gone = new Error("device gone");
      key.failures.push(gone);
      const results = await Promise.allSettled([
        sign(cache),
        sign(cache, { date: tomorrow }),
        sign(cache),
        sign(cache, { date: tomorrow }),
      ]);
      const fine = { status: "fulfilled", value: signed(today) };
      const failed = { status: "rejected", reason: gone };
      expect(results).toEqual([fine, failed, fine, failed]);
      expect(key.asked).toEqual([today, tomorrow]);
      expect(signNow(cache)).toBeDefined();
      expect(await sign(cache, { date: tomorrow })).toBe(signed(tomorrow));
      expect(cache.metrics).toMatchObject({ deviceCalls: 3, deviceFailures: 1, waiting: 0 });
    },
  );
});

describe("a clock that is set", () => {
  test.each([
    ["back by a day", "2026-11-22T12:00:00Z"],
    ["forth by a day", "2026-11-24T12:00:00Z"],
    ["back by a century", "1926-11-23T12:00:00Z"],
    ["forth by a century", "2126-11-23T12:00:00Z"],
  ])("%s: each signature has the key of its own date, and the device is asked once", async (_, time) => {
    const { cache, key, clock } = openCache();
    for (const date of [today, tomorrow]) expect(await sign(cache, { date })).toBe(signed(date));
    clock.jumpTo(time);
    for (const date of [today, tomorrow]) expect(await sign(cache, { date })).toBe(signed(date));
    clock.jumpTo("2026-11-23T12:00:00Z");
    for (const date of [today, tomorrow]) expect(await sign(cache, { date })).toBe(signed(date));
    expect(key.asked).toEqual([today, tomorrow]);
  });

  test("forth: keys of a day that is past by then are wiped within 15 minutes", async () => {
    const { cache, key, clock } = openCache();
    await sign(cache);
    clock.jumpTo("2026-11-25T12:00:00Z");
    await clock.moveTo("2026-11-25T12:15:00Z");
    expect(signNow(cache)).toBeUndefined();
    expect(clock.pending).toBe(1);
    expect(await sign(cache)).toBe(signed(today));
    expect(key.asked).toEqual([today, today]);
  });

  test("back: midnight is prepared for once more", async () => {
    const { cache, key, clock } = openCache();
    clock.jumpTo("2026-11-24T12:00:00Z");
    await sign(cache, { date: tomorrow });
    clock.jumpTo("2026-11-23T23:50:00Z");
    await sign(cache);
    await clock.moveTo("2026-11-23T23:59:00Z");
    await sign(cache);
    await clock.moveTo("2026-11-24T00:10:00Z");
    expect(key.asked).toEqual([tomorrow, today]);
    await sign(cache, { date: tomorrow });
    await clock.moveTo("2026-11-24T23:52:00Z");
    await sign(cache, { date: tomorrow });
    await clock.moveTo("2026-11-24T23:58:00Z");
    expect(key.asked.slice(-1)).toEqual(["20261125"]);
  });
});
