import { stat } from "node:fs/promises";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { Effort } from "./part.js";

/** One of those that are compared. */
export interface Contender {
  name: string;
  /** Works for `seconds` and gives calls a second. */
  run(seconds: number): Promise<number>;
  /** Whether all rates are divided by this one's, in a column of its own. The first contender's always are. */
  baseline?: boolean;
  /** What the project wants to reach of each baseline's rate, in their order. */
  targets?: number[];
  /** The event-loop delay's p99, in milliseconds, that the project wants to stay under. */
  targetDelay?: number;
}

/** Event-loop delay in milliseconds, above the timer's own millisecond: medians of the rounds. */
export interface Delay {
  p50: number;
  p99: number;
}

export interface Result {
  name: string;
  /** Calls a second: the median of the rounds. */
  rate: number;
  /** For each baseline the median over the rounds of this one's rate divided by the baseline's in the same round. */
  ratios: number[];
  targets: number[];
  delay: Delay;
  targetDelay: number | undefined;
  /** Milliseconds that an unrelated fs.stat took meanwhile, one after the other: the median of the rounds' medians. */
  stat: number;
}

export interface Comparison {
  results: Result[];
  /** Which of the results the ratios are to: their indices. */
  baselines: number[];
  /** The delay in the same rounds while nothing ran. */
  idle: Delay;
  idleStat: number;
}

/**
 * Keeps `inFlight` calls going for `seconds` and gives calls a second. Lets the event loop turn every millisecond: calls
 * that are synchronous, or settle without a turn, would starve it.
 */
export async function load(call: () => unknown, inFlight: number, seconds: number): Promise<number> {
  let calls = 0;
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let nextTurn = begin + 1;
  let turn: Promise<void> | undefined;
  const lane = async (): Promise<void> => {
    for (let now = begin; now < end; now = performance.now()) {
      if (now >= nextTurn) {
        nextTurn = now + 1;
        turn = setImmediate();
      }
      await turn;
      await call();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (calls * 1000) / (performance.now() - begin);
}

/** Times an fs.stat, which waits for one of libuv's four threads, every millisecond until `end` settles: the median in milliseconds. */
async function timeStats(end: Promise<unknown>): Promise<number> {
  let running = true;
  const stop = (): void => {
    running = false;
  };
  end.then(stop, stop);
  const times: number[] = [];
  while (running) {
    const begin = performance.now();
    await stat(__filename);
    times.push(performance.now() - begin);
    await setTimeout(1);
  }
  return median(times);
}

/** Runs the contenders by turns, `rounds` times, every other round backwards; with `stats` fs.stat is timed beside them. */
export async function compare(
  contenders: Contender[],
  { rounds, seconds }: Effort,
  { stats }: { stats: boolean } = { stats: false },
): Promise<Comparison> {
  for (const { run } of contenders) await run(seconds / 5); // warms the compiler up
  const idle: Contender = { name: "idle", run: (duration) => setTimeout(duration * 1000, 0) };
  const all = [idle, ...contenders].map((contender) => ({
    contender,
    rates: [] as number[],
    delays: [] as Delay[],
    stats: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { contender, ...measured } of round % 2 === 0 ? all : [...all].reverse()) {
      const monitor = monitorEventLoopDelay({ resolution: 1 });
      monitor.enable();
      const run = contender.run(seconds);
      if (stats) measured.stats.push(await timeStats(run));
      measured.rates.push(await run);
      monitor.disable();
      measured.delays.push({
        p50: milliseconds(monitor.percentile(50)),
        p99: milliseconds(monitor.percentile(99)),
      });
    }
  }
  const [nothing, ...compared] = all;
  if (!nothing || compared.length === 0) throw new Error("nothing to compare");
  const baselines = compared.filter(({ contender }, index) => index === 0 || contender.baseline);
  const results = compared.map(({ contender, rates, delays, stats: times }) => ({
    name: contender.name,
    rate: median(rates),
    ratios: baselines.map((baseline) =>
      median(rates.map((rate, round) => rate / (baseline.rates[round] ?? Number.NaN))),
    ),
    targets: contender.targets ?? [],
    delay: medianDelay(delays),
    targetDelay: contender.targetDelay,
    stat: median(times),
  }));
  return {
    results,
    baselines: baselines.map((baseline) => compared.indexOf(baseline)),
    ...{ idle: medianDelay(nothing.delays), idleStat: median(nothing.stats) },
  };
}

function milliseconds(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - 1);
}

function medianDelay(delays: Delay[]): Delay {
  return { p50: median(delays.map(({ p50 }) => p50)), p99: median(delays.map(({ p99 }) => p99)) };
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}
