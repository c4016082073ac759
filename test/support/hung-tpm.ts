import { createServer, type Server, type Socket } from "node:net";
import { close, freePorts, listen } from "./ports.js";

/** A TPM that takes every command and never answers, as broken hardware does. */
export interface HungTpm {
  tcti: string;
  /** Resolves when the next command arrives. */
  nextCommand(): Promise<void>;
  stop(): Promise<void>;
}

/** Listens as swtpm does: commands on one port of 127.0.0.1, its control channel on the next. */
export async function startHungTpm(): Promise<HungTpm> {
  const sockets = new Set<Socket>();
  let onCommand = (): void => undefined;
  const serve = (): Server =>
    createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => sockets.delete(socket));
      socket.on("data", () => onCommand());
    });
  const port = await freePorts(2);
  const servers = await Promise.all([port, port + 1].map((one) => listen(serve(), one)));
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    nextCommand: () =>
      new Promise((resolve) => {
        onCommand = resolve;
      }),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map(close));
    },
  };
}
