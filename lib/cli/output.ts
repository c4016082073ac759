import { once } from "node:events";
import process from "node:process";

/** Writes to stdout, or to another stream, no faster than it is read. */
export async function write(
  text: string | Uint8Array,
  stream: NodeJS.WritableStream = process.stdout,
): Promise<void> {
  if (!stream.write(text)) await once(stream, "drain");
}

/** One JSON document, and a newline. */
export function writeJson(value: unknown): Promise<void> {
  return write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** A table for people: the columns as wide as their longest cell. */
export function writeTable(head: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return write(`${text.join("\n")}\n`);
}

/** Something for people, beside the output: on stderr. */
export function say(message: string): void {
  process.stderr.write(`aws-hmac: ${message}\n`);
}
