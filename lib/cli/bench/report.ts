import type { Measured } from "./measure.js";

const widest = 40;

/** What was measured, in numbers. Times are in milliseconds. */
export function figures({ latencies, seconds }: Measured): {
  count: number;
  seconds: number;
  rate: number;
  latency: { p50: number; p90: number; p99: number; max: number };
  histogram: { from: number; to: number; count: number }[];
} {
  const { count, max } = latencies;
  const [p50 = 0, p90 = 0, p99 = 0] = [50, 90, 99].map((percent) => latencies.percentile(percent));
  return {
    ...{ count, seconds, rate: count / seconds, latency: { p50, p90, p99, max } },
    histogram: latencies.bars(),
  };
}

/** The same for people. */
export function report(name: string, measured: Measured): string {
  const { count, seconds, rate, latency, histogram } = figures(measured);
  const lines = [`${name}: ${rounded(rate)} a second (${count} in ${seconds.toFixed(1)} s)`];
  const parts = Object.entries(latency).map(([what, time]) => `${what} ${rounded(time)} ms`);
  lines.push(`  ${parts.join(", ")}`);
  const most = Math.max(...histogram.map((bar) => bar.count));
  for (const { from, to, count: calls } of histogram) {
    const length = Math.round((calls / most) * widest);
    const range = `${rounded(from).padStart(8)} to ${rounded(to).padStart(8)} ms`;
    lines.push(
      `  ${range} ${((100 * calls) / count).toFixed(1).padStart(5)} % ${"#".repeat(length)}`.trimEnd(),
    );
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** Three digits, or all before the point. */
function rounded(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
