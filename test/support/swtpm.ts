import { freePorts, listens } from "./ports.js";
import { startProcess, temporaryFolder, until } from "./process.js";

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
  const port = await freePorts(2); // tss2 expects the control channel on the second
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
