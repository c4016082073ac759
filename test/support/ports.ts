import { randomInt } from "node:crypto";
import { connect, createServer, type Server } from "node:net";

/**
 * The first of `count` TCP ports in a row of 127.0.0.1 that were free a moment ago. They lie below the ports that the
 * kernel gives to clients: tss2 connects anew for every command, and each such port stays taken for a minute.
 */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const first = randomInt(10_000, 32_000);
    const listeners: Server[] = [];
    try {
      for (let port = first; port < first + count; port++) listeners.push(await listen(createServer(), port));
      return first;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    } finally {
      await Promise.all(listeners.map(close));
    }
  }
  throw new Error(`no ${count} free ports in a row`);
}

/** Lets `server` listen on a port of 127.0.0.1; gives it once it does. */
export function listen(server: Server, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

/** Resolves when the last connection of `server` has ended. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Whether something listens on the port. */
export function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
