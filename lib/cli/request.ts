import { readFile } from "node:fs/promises";
import path from "node:path";
import { type Command, Option } from "commander";
import { invalid } from "../core/validate.js";
import type { SignableRequest } from "../sigv4/canonical-input.js";
import { requestOfUrl } from "../sigv4/presigned-url.js";
import { type BodyFile, bodyOf, type DataPart, measured } from "./request-body.js";

/** What the options of {@link withRequestOptions} say; `data` in their order. */
export interface RequestFlags {
  request?: string;
  header?: string[];
  uploadFile?: string;
  data?: DataPart[];
}

/** A request as the arguments describe it. */
export interface DescribedRequest {
  /** The URL, as it was given but for what curl adds to it. */
  url: URL;
  request: SignableRequest;
  /** Sent in place of the request's body. */
  file: BodyFile | undefined;
}

const payloadHash = "x-amz-content-sha256";

/** Adds curl's options for a request; `--json` is called `--data-json` here. */
export function withRequestOptions(command: Command): Command {
  const data: DataPart[] = [];
  const collect =
    (flag: DataPart["flag"]) =>
    (text: string): DataPart[] => {
      data.push({ flag, text });
      command.setOptionValue("data", data);
      return data;
    };
  return command
    .option("-X, --request <method>", "the method (default: GET; POST with data, PUT with a file)")
    .addOption(new Option("--method <method>").hideHelp().argParser((text) => setMethod(command, text)))
    .option("-H, --header <line>", "a header, or @file with one in each line; repeatable", listed)
    .option("-d, --data <data>", "the body, or @file without its line ends; repeatable", collect("--data"))
    .option("--data-raw <data>", "the body, be there an @ or not", collect("--data-raw"))
    .option("--data-binary <data>", "the body, or @file as it is", collect("--data-binary"))
    .option("--data-json <data>", "the same, said to be JSON (curl's --json)", collect("--json"))
    .option("-T, --upload-file <path>", "a file to put: read twice, and not into memory");
}

/**
 * The request that curl would make of these arguments.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`; SigningError `ERR_SIGN_INPUT` of the URL
 */
export async function describedRequest(text: string, flags: RequestFlags): Promise<DescribedRequest> {
  const { data = [], uploadFile } = flags;
  if (data.length > 0 && uploadFile !== undefined)
    throw invalid("--upload-file and --data exclude each other");
  const headers = await headersOf(flags.header ?? []);
  const defaults: Record<string, string> = {};
  if (data.length > 0) defaults["content-type"] = "application/x-www-form-urlencoded";
  if (data.some(({ flag }) => flag === "--json")) {
    Object.assign(defaults, { "content-type": "application/json", accept: "application/json" });
  }
  for (const [name, value] of Object.entries(defaults)) {
    if (!headers.has(name)) headers.set(name, [value]);
  }
  const file = uploadFile === undefined ? undefined : await measured(uploadFile);
  if (file && !headers.has(payloadHash)) headers.set(payloadHash, [file.hash]);
  const method = flags.request ?? (file ? "PUT" : data.length > 0 ? "POST" : "GET");
  if (!/^[A-Za-z]+$/.test(method)) throw invalid("--request must be a method such as GET");
  const url = whole(text, file);
  const sent = [...headers].filter(([, values]) => values.length > 0);
  const request = requestOfUrl(url, method, Object.fromEntries(sent));
  return {
    url: new URL(url),
    request: data.length > 0 ? { ...request, body: await bodyOf(data) } : request,
    file,
  };
}

/** curl's rule for files: to a URL that ends with a slash the file's name is added. */
function whole(url: string, file: BodyFile | undefined): string {
  const [place = "", ...query] = url.split("?");
  if (!file || !/^[a-z]+:\/\/[^/]+\/(?:.*\/)?$/i.test(place)) return url;
  return [`${place}${encodeURIComponent(path.basename(file.path))}`, ...query].join("?");
}

/** By name; a header without values is one that is not to be sent, as curl's `-H Name:` says. */
async function headersOf(lines: readonly string[]): Promise<Map<string, string[]>> {
  const headers = new Map<string, string[]>();
  for (const line of (await Promise.all(lines.map(expanded))).flat()) {
    const [, name = "", mark, rest = ""] = /^([!#$%&'*+\-.^_`|~\w]+)\s*([:;])(.*)$/s.exec(line) ?? [];
    const value = rest.trim();
    // The line is not shown: a header may hold a token.
    if (mark === undefined || (mark === ";" && value !== "") || /[\0\r\n]/.test(value)) {
      throw invalid("--header must be `Name: value`, `Name;` for an empty one or `Name:` for none");
    }
    const lowerCase = name.toLowerCase();
    const values = headers.get(lowerCase) ?? [];
    headers.set(lowerCase, mark === ":" && value === "" ? values : [...values, value]);
  }
  return headers;
}

async function expanded(line: string): Promise<string[]> {
  if (!line.startsWith("@")) return [line];
  const file = line.slice(1);
  try {
    return (await readFile(file, "utf8")).split(/\r?\n/).filter(Boolean);
  } catch (cause) {
    throw invalid(`--header: cannot read ${file} (${(cause as NodeJS.ErrnoException).code})`);
  }
}

function listed(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function setMethod(command: Command, text: string): string {
  command.setOptionValue("request", text);
  return text;
}
