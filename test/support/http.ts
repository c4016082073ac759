import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { Server } from "./process.js";

/** A request as it came in. */
export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What to answer; undefined leaves the request without an answer. */
export type Answer = { status: number; body: string; headers?: Record<string, string> } | undefined;

/** An HTTP server on 127.0.0.1 that records the requests and answers each as told. */
export async function startHttp(
  answer: (request: Received) => Answer | Promise<Answer>,
): Promise<Server & { endpoint: string; requests: Received[] }> {
  const requests: Received[] = [];
  const server = createServer(async (incoming, response) => {
    const { method = "", url = "", headers } = incoming;
    const request = { method, path: url, headers, body: await text(incoming) };
    requests.push(request);
    const answered = await answer(request);
    if (!answered) return;
    response.writeHead(answered.status, { "content-type": "text/xml", ...answered.headers });
    response.end(answered.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}
