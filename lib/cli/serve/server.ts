import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { type AddressInfo, isIP, isIPv4 } from "node:net";
import { invalid } from "../../core/validate.js";

/** A request, of which the body does not matter. */
export interface Asked {
  method: string;
  /** Without a query. */
  path: string;
  headers: IncomingHttpHeaders;
}

/** An answer: text as it is, anything else as JSON. */
export interface Reply {
  status: number;
  body: string | object;
  headers?: Record<string, string>;
}

/** A server that listens; disposing of it lets answers end, for two seconds at most, and ends all connections. */
export interface Endpoint extends AsyncDisposable {
  /** Such as http://127.0.0.1:40123, as programs on this machine reach it. */
  url: string;
}

/** Milliseconds that answers may still take when the server ends. */
const grace = 2_000;

/**
 * Answers HTTP requests at `host`, on any free port unless `port` says which. Refused with 403, before `answer` sees them:
 * requests that a proxy forwarded, and those for another host's name, to which a browser was led (DNS rebinding).
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where it cannot listen there
 */
export async function startEndpoint(
  { host, port }: { host: string; port: number },
  answer: (asked: Asked) => Reply | Promise<Reply>,
): Promise<Endpoint> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (incoming, response) => {
    const { method = "", url = "", headers } = incoming;
    incoming.resume();
    const asked = { method, path: url.replace(/\?.*$/s, ""), headers };
    const answered = async (): Promise<Reply> => refusal(headers, host) ?? (await answer(asked));
    answered().then(
      (reply) => send(response, reply),
      (error) => send(response, failed(500, "InternalError", (error as Error).message)),
    );
  });
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw invalid(`--host ${host} --port ${port}: cannot listen there (${code})`);
  }
  const { address, port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${isIPv4(address) ? local(address) : `[${local(address)}]`}:${bound}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      const late = setTimeout(() => server.closeAllConnections(), grace);
      await closed;
      clearTimeout(late);
    },
  };
}

/** An error in the form that SDKs look for. */
export function failed(status: number, code: string, message: string): Reply {
  return { status, body: { Code: code, Message: message } };
}

function send(response: ServerResponse, { status, body, headers = {} }: Reply): void {
  const isText = typeof body === "string";
  const type = isText ? "text/plain" : "application/json";
  response.writeHead(status, { "content-type": type, "cache-control": "no-store", ...headers });
  response.end(isText ? body : JSON.stringify(body));
}

function refusal(headers: IncomingHttpHeaders, host: string): Reply | undefined {
  if (headers["x-forwarded-for"] !== undefined || headers.forwarded !== undefined) {
    return failed(403, "Forbidden", "forwarded requests are refused");
  }
  if (isOurs(headers.host ?? "", host)) return undefined;
  return failed(403, "Forbidden", "the Host header is not this server's address");
}

/** A name that leads here could be anybody's; an address cannot. */
function isOurs(header: string, host: string): boolean {
  const name = header
    .replace(/:\d*$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  if (name === "localhost" || name === host.toLowerCase()) return true;
  return isLoopback(host) ? isLoopback(name) : isIP(name) !== 0;
}

/** Whether only programs on this machine reach an address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

/** Where "all addresses" are reached on this machine. */
function local(address: string): string {
  return address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
}
