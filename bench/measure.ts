import {
  createHistogram,
  monitorEventLoopDelay,
  performance,
  type RecordableHistogram,
} from "node:perf_hooks";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { Effort } from "./part.js";

/** One of those that are compared. */
export interface Contender {
  name: string;
  /** Works for `seconds` and gives calls a second. */
  run(seconds: number): Promise<number>;
  /** The rate that the issue asks for, as a part of the first contender's. */
  target?: number;
}

/** Event-loop delay in milliseconds, above the timer's own millisecond. */
export interface Delay {
  p50: number;
  p99: number;
}

export interface Result {
  name: string;
  /** Calls a second: the median of the rounds. */
  rate: number;
  /** The median over the rounds of this one's rate divided by the first contender's in the same round. */
  ratio: number;
  target: number | undefined;
  delay: Delay;
}

export interface Comparison {
  results: Result[];
  /** The delay in the same rounds while nothing ran. */
  idle: Delay;
}

const callsBetweenTurns = 64;

/**
 * Keeps `inFlight` calls going for `seconds` and gives calls a second. Every 64 calls one lane lets the event loop
 * turn: calls that are synchronous, or settle without a turn, would starve it by no fault of theirs.
 */
export async function load(call: () => unknown, inFlight: number, seconds: number): Promise<number> {
  let calls = 0;
  const begin = performance.now();
  const end = begin + seconds * 1000;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      await call();
      if (++calls % callsBetweenTurns === 0) await setImmediate();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return (calls * 1000) / (performance.now() - begin);
}

/** Runs the contenders by turns, `rounds` times, every other round backwards; the first is what the rest is compared with. */
export async function compare(contenders: Contender[], { rounds, seconds }: Effort): Promise<Comparison> {
  for (const { run } of contenders) await run(seconds / 5); // warms the compiler up
  const idle: Contender = { name: "idle", run: (duration) => setTimeout(duration * 1000, 0) };
  const all = [idle, ...contenders].map((contender) => ({
    contender,
    rates: [] as number[],
    delays: createHistogram(),
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { contender, rates, delays } of round % 2 === 0 ? all : [...all].reverse()) {
      rates.push(await watched(delays, () => contender.run(seconds)));
    }
  }
  const [nothing, first] = all;
  if (!nothing || !first) throw new Error("nothing to compare");
  const results = all.slice(1).map(({ contender, rates, delays }) => ({
    name: contender.name,
    rate: median(rates),
    ratio: median(rates.map((rate, round) => rate / (first.rates[round] ?? Number.NaN))),
    target: contender.target,
    delay: delayOf(delays),
  }));
  return { results, idle: delayOf(nothing.delays) };
}

async function watched<T>(delays: RecordableHistogram, work: () => Promise<T>): Promise<T> {
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  monitor.enable();
  try {
    return await work();
  } finally {
    monitor.disable();
    if (monitor.count > 0) delays.add(monitor as unknown as RecordableHistogram);
  }
}

function delayOf(delays: RecordableHistogram): Delay {
  const milliseconds = (percentile: number): number => Math.max(0, delays.percentile(percentile) / 1e6 - 1);
  return { p50: milliseconds(50), p99: milliseconds(99) };
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}
