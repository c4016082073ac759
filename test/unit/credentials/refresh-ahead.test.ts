import { refreshAhead, type TemporaryCredentials } from "../../../lib/credentials/refresh-ahead.js";

const minute = 60_000;

/** A provider under a clock of our own; each load is answered by hand. */
function underClock(lifetime = 60 * minute) {
  const loads: { succeed(): void; fail(error: Error): void }[] = [];
  const failures: unknown[] = [];
  const closing = new AbortController();
  let time = Date.UTC(2026, 10, 24);
  const provide = refreshAhead({
    load: () =>
      new Promise<TemporaryCredentials>((resolve, reject) => {
        const number = loads.length + 1;
        loads.push({
          succeed: () => resolve(credentials(number, time + lifetime)),
          fail: reject,
        });
      }),
    closed: closing.signal,
    onRefreshFailed: (error) => failures.push(error),
    now: () => time,
  });
  return {
    provide,
    loads,
    failures,
    close: () => closing.abort(),
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
    /** The first credentials, which end `lifetime` later. */
    async first(): Promise<TemporaryCredentials> {
      const asked = provide();
      loads[0]?.succeed();
      return asked;
    },
  };
}

function credentials(number: number, end: number): TemporaryCredentials {
  return {
    accessKeyId: `ASIA${number}`,
    secretAccessKey: "secret",
    sessionToken: "token",
    expiration: new Date(end),
  };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const who = async (asked: Promise<TemporaryCredentials>) => (await asked).accessKeyId;

test("a thousand callers cause one load, and later ones none", async () => {
  const { provide, loads } = underClock();
  const asked = Array.from({ length: 1000 }, () => provide());
  expect(loads).toHaveLength(1);
  loads[0]?.succeed();
  expect(new Set((await Promise.all(asked)).map((one) => one.accessKeyId))).toEqual(new Set(["ASIA1"]));
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(1);
});

test.each([
  ["five minutes before the end of an hour", 60 * minute, 55 * minute],
  ["a quarter of the lifetime before the end of a short one", 4 * minute, 3 * minute],
])("refreshes %s, and nobody waits for it", async (_, lifetime, lead) => {
  const { provide, loads, pass, first } = underClock(lifetime);
  await first();
  pass(lead - 1);
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(1);
  pass(1);
  expect(await who(provide())).toBe("ASIA1");
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(2);
  loads[1]?.succeed();
  await settled();
  expect(await who(provide())).toBe("ASIA2");
  expect(loads).toHaveLength(2);
});

test("a failed refresh leaves the last good credentials until they end, and is tried again", async () => {
  const { provide, loads, failures, pass, first } = underClock();
  await first();
  pass(56 * minute);
  expect(await who(provide())).toBe("ASIA1");
  loads[1]?.fail(new Error("STS is down"));
  await settled();
  expect(failures).toEqual([new Error("STS is down")]);
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(2);
  pass(10_000);
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(3);
  loads[2]?.fail(new Error("STS is down still"));
  await settled();
  pass(4 * minute);
  const late = provide();
  expect(loads).toHaveLength(4);
  loads[3]?.fail(new Error("STS is gone"));
  await expect(late).rejects.toThrow("STS is gone");
});

test("a failure is never kept", async () => {
  const { provide, loads } = underClock();
  const asked = [provide(), provide()];
  loads[0]?.fail(new Error("no"));
  for (const one of asked) await expect(one).rejects.toThrow("no");
  const again = provide();
  loads[1]?.succeed();
  expect(await who(again)).toBe("ASIA2");
});

test("forceRefresh gets new credentials, and its failure does not spoil the last ones", async () => {
  const { provide, loads, first } = underClock();
  await first();
  const forced = provide({ forceRefresh: true });
  loads[1]?.succeed();
  expect(await who(forced)).toBe("ASIA2");
  const failing = provide({ forceRefresh: true });
  loads[2]?.fail(new Error("no"));
  await expect(failing).rejects.toThrow("no");
  expect(await who(provide())).toBe("ASIA2");
});

test("after closing the key what is good is still served, and nothing new is loaded", async () => {
  const { provide, loads, close, pass, first } = underClock();
  await first();
  close();
  pass(56 * minute);
  expect(await who(provide())).toBe("ASIA1");
  await expect(provide({ forceRefresh: true })).rejects.toMatchObject({ code: "ERR_CLOSED" });
  pass(4 * minute);
  await expect(provide()).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect(loads).toHaveLength(1);
});

test("what one caller does to its credentials reaches no other", async () => {
  const { provide, first } = underClock();
  const mine = (await first()) as { accessKeyId: string; expiration: Date };
  mine.accessKeyId = "changed";
  mine.expiration.setTime(0);
  const theirs = await provide();
  expect(theirs.accessKeyId).toBe("ASIA1");
  expect(theirs.expiration).toEqual(new Date(Date.UTC(2026, 10, 24, 1)));
});
