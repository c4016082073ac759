import { existsSync } from "node:fs";
import path from "node:path";
import { startProcess, temporaryFolder, until } from "./process.js";

/** A character device that leads to a software TPM, as /dev/tpmrm0 leads to one of hardware: a terminal in raw mode. */
export interface Terminal {
  path: string;
  /** Nothing passes any more, until `resume`. */
  suspend(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** Makes a device for `tcti`, as `startSwtpm` gives it; that TPM has no other client until the device is stopped. */
export async function startTerminal(tcti: string): Promise<Terminal> {
  const port = /port=(\d+)/.exec(tcti)?.[1];
  const { folder, remove } = temporaryFolder("terminal");
  const device = path.join(folder, "tpm");
  const bridge = startProcess("socat", [`PTY,rawer,link=${device}`, `TCP:127.0.0.1:${port}`]);
  await until("socat", () => {
    if (!bridge.alive()) throw new Error(`socat ended: ${bridge.output()}`);
    return existsSync(device);
  });
  return {
    path: device,
    suspend: () => void bridge.child.kill("SIGSTOP"),
    resume: () => void bridge.child.kill("SIGCONT"),
    async stop() {
      await bridge.stop();
      remove();
    },
  };
}
