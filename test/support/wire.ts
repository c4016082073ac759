import http from "node:http";
import type { HttpRequest } from "@smithy/types";
import { queryString } from "./random-request.js";

/** A request as it goes over the wire. */
export interface Wire {
  method: string;
  /** With the query, percent-encoded. */
  target: string;
  headers: Record<string, string>;
  body: Buffer;
}

export interface WireAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** What is sent for a signed request; `body` where it is not in the request itself. */
export function wireOf(request: HttpRequest, body: Uint8Array | string = request.body ?? ""): Wire {
  const { method, path, query = {}, headers } = request;
  const search = Object.keys(query).length > 0 ? `?${queryString(query)}` : "";
  return { method, target: path + search, headers, body: Buffer.from(body) };
}

/** What is sent for a presigned URL. */
export function wireOfUrl(url: string, method = "GET", body: Uint8Array | string = ""): Wire {
  const { host, origin } = new URL(url);
  // Not its pathname, which is without dot segments.
  return { method, target: url.slice(origin.length), headers: { host }, body: Buffer.from(body) };
}

/** Sends a request byte for byte as it is: no client of more wits changes its path. */
export function send(endpoint: string, { method, target, headers: all, body }: Wire): Promise<WireAnswer> {
  // Who sends `expect` must wait.
  const headers = Object.fromEntries(Object.entries(all).filter(([name]) => name.toLowerCase() !== "expect"));
  const { hostname, port } = new URL(endpoint);
  const length = { "content-length": String(body.length) };
  const sent = body.length > 0 || method === "PUT" || method === "POST" ? { ...length, ...headers } : headers;
  // Kept alive: Ceph takes the rest of a body that it has refused, where it would else close the connection upon us.
  const agent = new http.Agent({ keepAlive: true });
  return new Promise<WireAnswer>((resolve, reject) => {
    const request = http.request(
      { ...{ hostname, port, method, path: target }, headers: sent, agent },
      async (answer) => {
        const parts: Buffer[] = [];
        for await (const part of answer) parts.push(part as Buffer);
        const { statusCode: status = 0, headers } = answer;
        resolve({ status, headers, body: Buffer.concat(parts).toString() });
      },
    );
    request.on("error", reject);
    request.end(body);
  }).finally(() => agent.destroy());
}

const otherDigit = (digit: string): string => (digit === "0" ? "1" : "0");
const otherByte = (bytes: Buffer, at: number): Buffer => {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
};

/**
 * The request with one thing changed that its signature covers, in every way that there is, each with its name. `place`: the
 * byte of the body that is changed.
 */
export function tampered(wire: Wire, place = wire.body.length >> 1): [what: string, changed: Wire][] {
  const { method, target, headers, body } = wire;
  const [path = "", search] = target.split("?");
  const withHeader = (name: string, change: (value: string) => string): Wire => ({
    ...wire,
    headers: { ...headers, [name]: change(headers[name] ?? "") },
  });
  const ways: [string, Wire][] = [
    ["method", { ...wire, method: method === "GET" ? "DELETE" : "GET" }],
    ["path", { ...wire, target: `${path}x${search === undefined ? "" : `?${search}`}` }],
    ["query", { ...wire, target: `${target}${search === undefined ? "?" : "&"}x=y` }],
  ];
  if (headers.authorization) {
    const end = (value: string): string => value.slice(0, -1) + otherDigit(value.slice(-1));
    ways.push(["signature", withHeader("authorization", end)]);
    ways.push(["access key", withHeader("authorization", (value) => value.replace("Credential=", "$&X"))]);
    ways.push([
      "date",
      withHeader("x-amz-date", (value) => `${value.slice(0, -2)}${otherDigit(value.slice(-2, -1))}Z`),
    ]);
  } else {
    const changed = (pattern: RegExp): Wire => ({
      ...wire,
      target: target.replace(pattern, (_, name: string, digit: string) => name + otherDigit(digit)),
    });
    ways.push(["signature", changed(/(X-Amz-Signature=)(.)/)]);
    ways.push(["access key", changed(/(X-Amz-Credential=)(.)/)]);
    ways.push(["date", changed(/(X-Amz-Date=\w+)(\d)Z/)]);
    ways.push(["expiry", changed(/(X-Amz-Expires=\d+)(\d)/)]);
  }
  for (const name of Object.keys(headers).filter((one) => one.startsWith("x-amz-meta-"))) {
    ways.push([name, withHeader(name, (value) => `${value}x`)]);
  }
  const hash = headers["x-amz-content-sha256"];
  if (body.length > 0 && hash !== undefined && hash !== "UNSIGNED-PAYLOAD") {
    ways.push(["body", { ...wire, body: otherByte(body, place) }]);
  }
  return ways;
}
