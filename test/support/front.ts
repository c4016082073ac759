import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { close, freePorts, listen } from "./ports.js";
import type { Server } from "./process.js";

/** A request that came to a front. */
export interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

/** What a front does with a request: `pass` lets the server behind it answer. */
export type Fronting = (seen: Seen, answer: ServerResponse, pass: () => void) => void;

/** An HTTP server of a test's own before a real one, as a proxy or a load balancer stands there. */
export interface Front extends Server {
  address: string;
  port: number;
  seen: Seen[];
  /** How requests are treated from now on; they are passed on by default. */
  treat(how: Fronting): void;
  /** Breaks all connections off. */
  cut(): void;
}

export async function startFront(targetPort: number): Promise<Front> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  let treat: Fronting = (_, __, pass) => pass();
  const server = createServer(async (incoming, answer) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const { method = "", url = "", headers } = incoming;
    const one = { method, url, headers, body };
    seen.push(one);
    treat(one, answer, () => {
      const options = { host: "127.0.0.1", port: targetPort, method, path: url, headers, agent: false };
      const onward = request(options, (reply) => {
        answer.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(answer);
      });
      onward.on("error", () => answer.destroy());
      onward.end(one.body);
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const port = await freePorts(1);
  await listen(server, port);
  return {
    address: `http://127.0.0.1:${port}`,
    port,
    seen,
    treat(how) {
      treat = how;
    },
    cut,
    async stop() {
      cut();
      await close(server);
    },
  };
}
