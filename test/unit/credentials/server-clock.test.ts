import { ServerClock } from "../../../lib/credentials/server-clock.js";

const start = Date.UTC(2026, 10, 24, 12);
const minute = 60_000;
const hour = 60 * minute;

/** A machine whose clock may be set and which may sleep, beside a true one. */
function machine(off = 0) {
  let truth = start;
  let wrong = off;
  let awake = 0;
  const clock = new ServerClock({ wall: () => truth + wrong, steady: () => awake });
  const pass = (ms: number): void => {
    truth += ms;
    awake += ms;
  };
  return {
    clock,
    pass,
    sleep: (ms: number) => {
      truth += ms;
    },
    setClock: (to: number) => {
      wrong = to;
    },
    /** An answer that says the true time. */
    answer: (more: Record<string, string> = {}) =>
      clock.learn({ date: new Date(truth).toUTCString(), ...more }),
    /** By how much the time is wrong. */
    error: () => clock.now() - truth,
    local: (end: number) => clock.local(new Date(truth + end)).getTime() - truth,
  };
}

test("without an answer it is this machine's time", () => {
  const { error } = machine(2 * hour);
  expect(error()).toBe(2 * hour);
});

test.each([2 * hour, -2 * hour, 10 * minute])("a clock that is %i ms off is known from an answer", (off) => {
  const { answer, error, pass, local } = machine(off);
  answer();
  expect(error()).toBe(0);
  pass(50 * minute);
  expect(error()).toBe(0);
  expect(local(hour)).toBe(hour + off); // as this machine's clock will show it
});

test("a difference of seconds is none, and of some minutes leaves the end as it was told", () => {
  const little = machine(3_000);
  little.answer();
  expect(little.error()).toBe(3_000);
  const some = machine(3 * minute);
  some.answer();
  expect(some.error()).toBe(0);
  expect(some.local(hour)).toBe(hour);
});

test("a wrong clock that is set right, forwards or back, lets nothing be good for too long", () => {
  const fast = machine(2 * hour);
  fast.answer();
  fast.pass(minute);
  fast.setClock(0);
  expect(fast.error()).toBe(0);
  expect(fast.local(hour)).toBe(hour);
  const slow = machine(-2 * hour);
  slow.answer();
  slow.pass(minute);
  slow.setClock(0);
  expect(slow.error()).toBe(2 * hour); // too early at worst
  slow.answer();
  expect(slow.error()).toBe(0);
});

test("the time that the machine slept has passed too", () => {
  const { answer, sleep, error } = machine(2 * hour);
  answer();
  sleep(8 * hour);
  expect(error()).toBe(0);
});

test("an answer out of a cache, without a date, or with nonsense for one teaches nothing", () => {
  const { answer, clock, error } = machine(2 * hour);
  answer({ age: "7000" });
  clock.learn({});
  clock.learn({ date: "yesterday" });
  expect(error()).toBe(2 * hour);
});

test("what was learned can be forgotten", () => {
  const { answer, clock, error } = machine(2 * hour);
  answer();
  clock.forget();
  expect(error()).toBe(2 * hour);
});
