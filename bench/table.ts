import type { Comparison, Delay } from "./measure.js";

const head = ["", "per second", "ratio", "target", "delay p50", "p99", "idle p99"];

/** Prints a comparison; delays are in milliseconds. */
export function printTable(title: string, { results, idle }: Comparison): void {
  const rows = results.map(({ name, rate, ratio, target, delay }) => [
    name,
    Math.round(rate).toLocaleString("en"),
    ratio.toFixed(2),
    target === undefined ? "" : `≥ ${target}`,
    ...delays(delay),
    idle.p99.toFixed(2),
  ]);
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  console.log(`\n${title}`);
  for (const line of lines) {
    const cells = line.map((cell, column) => pad(cell, widths[column] ?? 0, column));
    console.log(`  ${cells.join("  ").trimEnd()}`);
  }
}

function delays({ p50, p99 }: Delay): string[] {
  return [p50.toFixed(2), p99.toFixed(2)];
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
