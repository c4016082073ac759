import type { Comparison, Delay, Result } from "./measure.js";

const columns = ["", "per second", "ratio", "target"];
const delayColumns = ["delay p50", "p99", "idle p50", "p99"];

/** Prints rates and their ratios. */
export function printRates(title: string, { results }: Comparison): void {
  print(title, [columns, ...results.map(rates)]);
}

/** The same, with the event-loop delay in milliseconds while each one worked and while nothing did. */
export function printRatesAndDelays(title: string, { results, idle }: Comparison): void {
  const rows = results.map((result) => [...rates(result), ...delays(result.delay), ...delays(idle)]);
  print(title, [[...columns, ...delayColumns], ...rows]);
}

function rates({ name, rate, ratio, target }: Result): string[] {
  const rounded = Math.round(rate).toLocaleString("en");
  return [name, rounded, ratio.toFixed(2), target === undefined ? "" : `≥ ${target}`];
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
