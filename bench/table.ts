import type { Comparison, Delay, Result } from "./measure.js";

const delayColumns = ["delay p50", "p99", "target", "idle p50", "p99"];

/** Prints rates and their ratios. */
export function printRates(title: string, { results, baselines }: Comparison): void {
  print(title, [rateColumns(baselines), ...results.map(rates)]);
}

/** The same, with the event-loop delay in milliseconds while each one worked and while nothing did. */
export function printRatesAndDelays(title: string, { results, baselines, idle }: Comparison): void {
  const rows = results.map((result) => [
    ...rates(result),
    ...delays(result.delay),
    result.targetDelay === undefined ? "" : `< ${result.targetDelay}`,
    ...delays(idle),
  ]);
  print(title, [[...rateColumns(baselines), ...delayColumns], ...rows]);
}

/** The same with fs.stat's time instead of the event loop's. */
export function printRatesAndStats(title: string, { results, baselines, idleStat }: Comparison): void {
  const rows = results.map((result) => [
    ...rates(result),
    result.stat.toFixed(2),
    "< 2",
    idleStat.toFixed(2),
  ]);
  print(title, [[...rateColumns(baselines), "fs.stat p50", "target", "idle p50"], ...rows]);
}

function rateColumns(baselines: number[]): string[] {
  const ratios = baselines.flatMap((line) => [line === 0 ? "ratio" : `to line ${line + 1}`, "target"]);
  return ["", "per second", ...ratios];
}

function rates({ name, rate, ratios, targets }: Result): string[] {
  const rounded = Math.round(rate).toLocaleString("en", { maximumSignificantDigits: 4 });
  const parts = ratios.flatMap((ratio, index) => {
    const target = targets[index];
    return [ratio.toFixed(ratio < 0.1 ? 4 : 2), target === undefined ? "" : `≥ ${target}`];
  });
  return [name, rounded, ...parts];
}

function delays({ p50, p99 }: Delay): string[] {
  return [p50.toFixed(2), p99.toFixed(2)];
}

function print(title: string, lines: string[][]): void {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  console.log(`\n${title}`);
  for (const line of lines) {
    const cells = line.map((cell, column) => pad(cell, widths?.[column] ?? 0, column));
    console.log(`  ${cells.join("  ").trimEnd()}`);
  }
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
