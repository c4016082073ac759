import { randomInt } from "node:crypto";
import { createServer, type Server as Listener } from "node:net";
import { listens, startProcess, temporaryFolder, until } from "./process.js";

/** A throwaway software TPM. */
export interface Swtpm {
  /** The TCTI string that reaches it. */
  tcti: string;
  /** Ends its process without any warning, as a power cut would; its state stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill`: a TPM after a reset, with the same keys. */
  start(): Promise<void>;
  /** Ends it and removes its state. */
  stop(): Promise<void>;
}

/** Starts a software TPM of its own on free ports of 127.0.0.1. */
export async function startSwtpm(): Promise<Swtpm> {
  const { folder, remove } = temporaryFolder("swtpm");
  const port = await freePortPair();
  let server: ReturnType<typeof startProcess>;
  const start = async (): Promise<void> => {
    server = startProcess("swtpm", [
      ...["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate", `dir=${folder}`],
      ...["--server", `type=tcp,bindaddr=127.0.0.1,port=${port}`],
      ...["--ctrl", `type=tcp,bindaddr=127.0.0.1,port=${port + 1}`],
    ]);
    await until("swtpm", async () => {
      if (!server.alive()) throw new Error(`swtpm ended: ${server.output()}`);
      return listens(port + 1);
    });
  };
  const kill = async (): Promise<void> => server.stop();
  await start();
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    kill,
    start,
    async stop() {
      await kill();
      remove();
    },
  };
}

/**
 * A free port whose successor is free too: tss2 expects swtpm's control channel there. Below the ports that the kernel
 * gives to clients, because tss2 connects anew for every command, and such ports stay taken for a minute.
 */
export async function freePortPair(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = randomInt(10_000, 32_000);
    const listeners = [await listen(port), await listen(port + 1)];
    await Promise.all(listeners.map(close));
    if (listeners.every((listener) => listener !== undefined)) return port;
  }
  throw new Error("no two free ports in a row");
}

function listen(port: number): Promise<Listener | undefined> {
  return new Promise((resolve) => {
    const listener = createServer();
    listener.once("error", () => resolve(undefined));
    listener.listen(port, "127.0.0.1", () => resolve(listener));
  });
}

function close(listener: Listener | undefined): Promise<void> {
  return new Promise((resolve) => (listener ? listener.close(() => resolve()) : resolve()));
}
