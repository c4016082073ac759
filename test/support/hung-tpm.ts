import { createServer, type Server, type Socket } from "node:net";

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
  const [port, servers] = await listenOnTwoPorts(serve);
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    nextCommand: () =>
      new Promise((resolve) => {
        onCommand = resolve;
      }),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
    },
  };
}

/** Two neighbouring ports; another pair is tried while the second one is taken. */
async function listenOnTwoPorts(serve: () => Server): Promise<[number, Server[]]> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const first = serve();
    const port = await listen(first, 0);
    const second = serve();
    if (await listen(second, port + 1).catch(() => undefined)) return [port, [first, second]];
    await new Promise((closed) => first.close(closed));
  }
  throw new Error("no two neighbouring ports are free");
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      if (address !== null && typeof address === "object") resolve(address.port);
      else reject(new Error("the server has no port"));
    });
  });
}
