import {
  type RefreshAheadOptions,
  refreshAhead,
  type TemporaryCredentials,
} from "../../../lib/credentials/refresh-ahead.js";
import { ManualClock } from "../../support/manual-clock.js";

const minute = 60_000;
const start = Date.UTC(2026, 10, 24);
const after = (ms: number): string => new Date(start + ms).toISOString();

/** A provider under a clock of our own; each load is answered by hand. */
function underClock({
  lifetime = 60 * minute,
  ...more
}: Partial<RefreshAheadOptions> & { lifetime?: number } = {}) {
  const loads: { at: number; succeed(): void; fail(error: Error): void }[] = [];
  const failures: unknown[] = [];
  const closing = new AbortController();
  const clock = new ManualClock(after(0));
  const provide = refreshAhead({
    load: () =>
      new Promise((resolve, reject) => {
        const number = loads.length + 1;
        loads.push({
          at: clock.now() - start,
          succeed: () => resolve({ credentials: credentials(number, clock.now() + lifetime), lifetime }),
          fail: reject,
        });
      }),
    ahead: "timer",
    closed: closing.signal,
    onRefreshFailed: (error) => failures.push(error),
    now: () => clock.now(),
    after: (ms, task) => clock.after(ms, task),
    random: () => 0,
    ...more,
  });
  return {
    provide,
    loads,
    failures,
    clock,
    close: () => closing.abort(),
    /** Lets the clock run until so many milliseconds after the start. */
    until: (ms: number) => clock.moveTo(after(ms)),
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
  ["five minutes before the end of an hour", 60 * minute, 0, 55 * minute],
  ["up to half as much earlier, by chance", 60 * minute, 1, 52.5 * minute],
  ["a quarter of the lifetime before the end of a short one", 4 * minute, 0, 3 * minute],
])("refreshes %s, and nobody waits for it", async (_, lifetime, chance, due) => {
  const { provide, loads, until, first } = underClock({ lifetime, random: () => chance });
  await first();
  await until(due - 1);
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(1);
  await until(due);
  expect(loads).toHaveLength(2);
  expect(await who(provide())).toBe("ASIA1");
  loads[1]?.succeed();
  await settled();
  expect(await who(provide())).toBe("ASIA2");
  expect(loads).toHaveLength(2);
});

test("a timer refreshes only while somebody asks; whoever comes back later starts it again", async () => {
  const { provide, loads, until, first, clock } = underClock();
  await first();
  await until(55 * minute); // the first caller counts
  loads[1]?.succeed();
  await settled();
  await until(110 * minute); // since then nobody asked
  expect(loads).toHaveLength(2);
  expect(clock.pending).toBe(0);
  expect(await who(provide())).toBe("ASIA2");
  expect(loads.map(({ at }) => at)).toEqual([0, 55 * minute, 110 * minute]);
  loads[2]?.succeed();
  await settled();
  await until(165 * minute);
  expect(loads).toHaveLength(4);
});

test("no timer where a person is asked for a code: a caller starts the refresh", async () => {
  const { provide, loads, until, first, clock } = underClock({ ahead: "caller" });
  await first();
  expect(clock.pending).toBe(0);
  await until(56 * minute);
  expect(loads).toHaveLength(1);
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(2);
});

test("nothing is refreshed ahead with a code that is used up", async () => {
  const { provide, loads, until, first } = underClock({ ahead: "nobody" });
  await first();
  await until(60 * minute - 1);
  expect(await who(provide())).toBe("ASIA1");
  expect(loads).toHaveLength(1);
  await until(60 * minute);
  const late = provide();
  loads[1]?.succeed();
  expect(await who(late)).toBe("ASIA2");
});

test("a refresh that fails is tried again with longer and longer pauses, and the last credentials stay to their end", async () => {
  const { provide, loads, failures, until, first } = underClock();
  await first();
  const error = new Error("STS is down");
  let pause = 5_000;
  let at = 55 * minute;
  for (const number of [1, 2, 3, 4, 5, 6, 7]) {
    await until(at - 1);
    await provide();
    expect(loads).toHaveLength(number);
    await until(at);
    expect(loads).toHaveLength(number + 1);
    loads[number]?.fail(error);
    await settled();
    expect(failures).toHaveLength(number);
    expect(await who(provide())).toBe("ASIA1");
    at += pause;
    pause = Math.min(60_000, pause * 2);
  }
  await until(60 * minute - 1);
  expect(await who(provide())).toBe("ASIA1");
  const before = loads.length;
  loads.at(-1)?.fail(error);
  await settled();
  await until(60 * minute);
  const late = provide();
  expect(loads).toHaveLength(before + 1);
  loads.at(-1)?.fail(new Error("STS is gone"));
  await expect(late).rejects.toThrow("STS is gone");
  await until(120 * minute);
  expect(loads).toHaveLength(before + 1);
});

test("after a success the pauses are short again", async () => {
  const { loads, until, first, provide } = underClock();
  await first();
  for (const [number, at] of [55 * minute, 55 * minute + 5_000].entries()) {
    await until(at);
    loads[number + 1]?.fail(new Error("no"));
    await settled();
  }
  await until(55 * minute + 15_000);
  loads[3]?.succeed();
  await settled();
  await provide();
  await until(110 * minute + 15_000);
  loads[4]?.fail(new Error("no"));
  await settled();
  await until(110 * minute + 20_000);
  expect(loads).toHaveLength(6);
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
  const { provide, loads, first, until, clock } = underClock();
  await first();
  await until(30 * minute);
  const forced = [provide({ forceRefresh: true }), provide({ forceRefresh: true })];
  loads[1]?.succeed();
  expect(await Promise.all(forced.map(who))).toEqual(["ASIA2", "ASIA2"]);
  const failing = provide({ forceRefresh: true });
  loads[2]?.fail(new Error("no"));
  await expect(failing).rejects.toThrow("no");
  expect(await who(provide())).toBe("ASIA2");
  expect(clock.pending).toBe(1);
  await until(85 * minute - 1);
  expect(loads).toHaveLength(3);
  await until(85 * minute);
  expect(loads).toHaveLength(4);
});

test("a lifetime longer than any timer", async () => {
  const days = 24 * 60 * minute;
  const { loads, until, first } = underClock({ lifetime: 90 * days });
  await first();
  await until(90 * days - 5 * minute - 1);
  expect(loads).toHaveLength(1);
  await until(90 * days - 5 * minute);
  expect(loads).toHaveLength(2);
});

test("after closing the key what is good is still served, and nothing new is loaded", async () => {
  const { provide, loads, close, until, first } = underClock();
  await first();
  close();
  await until(56 * minute);
  expect(await who(provide())).toBe("ASIA1");
  await expect(provide({ forceRefresh: true })).rejects.toMatchObject({ code: "ERR_CLOSED" });
  await until(60 * minute);
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
