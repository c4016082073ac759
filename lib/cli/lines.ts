import type { Readable } from "node:stream";

/** The lines of a stream of UTF-8 but the empty ones, all that a chunk ends at a time. */
export async function* readLines(stream: Readable): AsyncGenerator<string[], void, undefined> {
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop() ?? "";
    yield lines.filter((line) => line !== "");
  }
  if (rest !== "") yield [rest];
}
