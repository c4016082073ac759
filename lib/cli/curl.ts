import type { HttpRequest } from "@smithy/types";
import { invalid } from "../core/validate.js";
import type { DescribedRequest } from "./request.js";
import type { DataPart } from "./request-body.js";

/** The headers to send, but for the host, which every client makes of the URL; `given` is one that is not the URL's. */
export function sentHeaders(signed: HttpRequest, { url }: DescribedRequest): [name: string, value: string][] {
  return Object.entries(signed.headers).filter(([name, value]) => name !== "host" || value !== url.host);
}

/** Lines as `curl -H @file` reads them: `Name;` where the value is empty. */
export function headerLines(headers: readonly (readonly [string, string])[]): string {
  return headers.map(([name, value]) => (value === "" ? `${name};\n` : `${name}: ${value}\n`)).join("");
}

/**
 * A command for a shell. Its headers are read from a here-document: in arguments everybody on the machine would see the
 * signature, with which the request can be repeated for a while.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where stdin was the data
 */
export function curlCommand(
  url: string,
  method: string,
  lines: string,
  { data = [], uploadFile }: { data?: readonly DataPart[]; uploadFile?: string },
): string {
  const args = ["--path-as-is", "--globoff", "-H", "@-"];
  args.unshift(...(method === "HEAD" ? ["--head"] : ["-X", method]));
  for (const { flag, text } of data) {
    if (flag !== "--data-raw" && text === "@-") {
      throw invalid("--curl: the data was stdin, which curl cannot read again: give it in a file");
    }
    // curl's --json sets headers too: those are among the signed ones
    args.push(flag === "--json" ? "--json" : flag, text);
  }
  if (uploadFile !== undefined) args.push("-T", uploadFile);
  return `curl ${[...args, url].map(quoted).join(" ")} <<'SIGNED'\n${lines}SIGNED\n`;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
