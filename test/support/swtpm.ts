import { copyFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { freePorts, listens } from "./ports.js";
import { halt, startProcess, temporaryFolder, until } from "./process.js";

/** A throwaway software TPM. */
export interface Swtpm {
  /** The TCTI string that reaches it. */
  tcti: string;
  /** Ends its process without any warning, as a power cut would; its state stays. */
  kill(): Promise<void>;
  /** Stops its process: it answers nothing until `resume`. */
  suspend(): void;
  resume(): void;
  /** Resets the TPM in the running process: sessions and loaded keys are gone; it waits for TPM2_Startup. */
  reset(): Promise<void>;
  /** Starts it again after `kill`: a TPM after a reset, with the same keys. */
  start(): Promise<void>;
  /** Ends it and removes its state. */
  stop(): Promise<void>;
}

/**
 * Starts a software TPM of its own on free ports of 127.0.0.1.
 *
 * @param state the path of a state file (tpm2-00.permall) that it begins with a copy of; a new TPM by default
 */
export async function startSwtpm(state?: string): Promise<Swtpm> {
  const { folder, remove } = temporaryFolder("swtpm");
  if (state !== undefined) copyFileSync(state, path.join(folder, "tpm2-00.permall"));
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
  const kill = async (): Promise<void> => {
    server.child.kill("SIGKILL");
    await server.stop();
  };
  await start();
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    kill,
    start,
    suspend: () => halt(server.child.pid),
    resume: () => void server.child.kill("SIGCONT"),
    reset: () => initialize(port + 1),
    async stop() {
      await kill();
      remove();
    },
  };
}

/** CMD_INIT on swtpm's control channel (swtpm_ioctls(3)): the command and its flags, four bytes each; the answer is a result. */
async function initialize(port: number): Promise<void> {
  const command = Buffer.alloc(8);
  command.writeUInt32BE(2);
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write(command);
    const result = await new Promise<Buffer>((resolve, reject) =>
      socket.once("data", resolve).once("error", reject),
    );
    if (result.readUInt32BE() !== 0) throw new Error(`swtpm: CMD_INIT answers ${result.toString("hex")}`);
  } finally {
    socket.destroy();
  }
}
