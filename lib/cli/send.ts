import { once } from "node:events";
import { type ClientRequest, request as http, type IncomingMessage } from "node:http";
import { request as https } from "node:https";
import process from "node:process";
import { AwsHmacError } from "../core/errors.js";
import { CommandFailure, exitCodes } from "./failure.js";
import { say, write } from "./output.js";
import { type BodyFile, chunksOf } from "./request-body.js";

/** A signed request. */
export interface Sendable {
  url: URL;
  /** As it was signed: percent-encoded, with the query. */
  path: string;
  method: string;
  headers: Record<string, string>;
  body: Uint8Array | undefined;
  file: BodyFile | undefined;
}

export interface SendFlags {
  /** Show the request's and the answer's first lines and headers. */
  verbose?: boolean;
  /** Fail where the server answers with an error. */
  fail?: boolean;
  /** Seconds for everything. */
  maxTime?: number;
}

/** Milliseconds without anything sent or received. */
const longestSilence = 60_000;
/** Milliseconds that a server may take to say that it wants the file: curl's own. */
const longestConsent = 1_000;
const longestError = 65_536;
const hidden = new Set(["authorization", "x-amz-security-token"]);

/**
 * Sends a request and writes the body of the answer to stdout. No redirect is followed: the signature is for this place.
 *
 * @throws CommandFailure where the server cannot be reached, and with `fail` where it answers with an error, which is told on
 * stderr then
 */
export async function send(request: Sendable, { verbose, fail, maxTime }: SendFlags): Promise<void> {
  const { url, method, path } = request;
  const signal = maxTime === undefined ? undefined : AbortSignal.timeout(maxTime * 1000);
  try {
    const answer = await exchange(request, verbose === true, signal);
    const { statusCode = 0, statusMessage = "" } = answer;
    if (verbose) tell("<", `HTTP/${answer.httpVersion} ${statusCode} ${statusMessage}`, answer.rawHeaders);
    if (fail && statusCode >= 400) {
      await write(await beginning(answer), process.stderr);
      throw new CommandFailure(`${method} ${path.split("?")[0]}: HTTP ${statusCode}`, exitCodeOf(statusCode));
    }
    for await (const chunk of answer) await write(chunk as Buffer);
    if (statusCode >= 400 && !verbose) say(`HTTP ${statusCode} ${statusMessage}`);
  } catch (error) {
    if (error instanceof CommandFailure || error instanceof AwsHmacError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined && !signal?.aborted) throw error;
    const reason = signal?.aborted ? `not done within ${maxTime} s (--max-time)` : code;
    throw new CommandFailure(`${url.origin}: ${reason}`, exitCodes.unavailable);
  }
}

async function exchange(
  { url, path, method, headers, body, file }: Sendable,
  verbose: boolean,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const length = file?.size ?? body?.length;
  const all = {
    ...headers,
    ...(length !== undefined && { "content-length": String(length) }),
    ...(file?.size && { expect: "100-continue" }),
  };
  if (verbose) tell(">", `${method} ${path} HTTP/1.1`, Object.entries(all).flat());
  const { protocol, hostname, port } = url;
  const start = protocol === "https:" ? https : http;
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const request = start({ method, path, headers: all, host, port, signal, agent: false });
  request.setTimeout(longestSilence, () =>
    request.destroy(Object.assign(new Error(), { code: "no sign of life" })),
  );
  if (file?.size) upload(request, file);
  else request.end(body);
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  return answer.once("end", () => request.destroy()); // it may have answered before it had everything
}

/** Sends the file once the server wants it, or does not say; one that refuses the headers is spared it. */
function upload(request: ClientRequest, file: BodyFile): void {
  let answered = false;
  const begin = (): void => {
    clearTimeout(patience);
    // not a pipeline, which would end the request with an error of its own
    writeAll(request, chunksOf(file)).catch((error) => answered || request.destroy(error));
  };
  const patience = setTimeout(begin, longestConsent);
  request.once("continue", begin).once("close", () => clearTimeout(patience));
  request.once("response", () => {
    answered = true;
    clearTimeout(patience);
  });
}

async function writeAll(request: ClientRequest, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    if (!request.write(chunk)) await once(request, "drain");
  }
  request.end();
}

function exitCodeOf(status: number): number {
  if (status === 401 || status === 403) return exitCodes.refused;
  return status === 429 || status >= 500 ? exitCodes.unavailable : exitCodes.failed;
}

/** As `curl -v` does, but for what would let others repeat the request. */
function tell(mark: string, first: string, headers: readonly string[]): void {
  const lines = [first];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? "";
    lines.push(`${name}: ${hidden.has(name.toLowerCase()) ? "(not shown)" : headers[at + 1]}`);
  }
  process.stderr.write(lines.map((line) => `${mark} ${line}\n`).join(""));
}

/** What a server says of an error, of whatever length, with a newline at its end. */
async function beginning(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer) {
    pieces.push(chunk as Buffer);
    length += chunk.length;
    if (length > longestError) break;
  }
  const text = Buffer.concat(pieces).subarray(0, longestError);
  return length === 0 || text.at(-1) === 0x0a ? text : Buffer.concat([text, Buffer.from("\n")]);
}
