import type { SignableRequest } from "../../lib/index.js";

/** A raw HTTP request of AWS's test suite; a header line that begins with white space goes on from the one before. */
export function parseRequest(raw: string): SignableRequest {
  const [head = "", body = ""] = raw.split("\n\n");
  const [start = "", ...lines] = head.trimEnd().split(/\n(?!\s)/);
  const [, method = "", target = ""] = /^(\w+) (.*) HTTP\/1.1$/.exec(start) ?? [];
  const [path = "", search = ""] = target.split("?");
  const headers: Record<string, string[]> = {};
  for (const line of lines) {
    const [name = "", ...value] = line.split(":");
    headers[name] = [...(headers[name] ?? []), value.join(":")];
  }
  const query = Object.fromEntries(new URLSearchParams(search));
  return { method, protocol: "https:", hostname: "unused.example", path, query, headers, body };
}
