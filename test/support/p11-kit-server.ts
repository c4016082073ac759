import { readFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { modulePath } from "./module-path.js";
import { realProcess, startProcess, temporaryFolder, until } from "./process.js";
import type { TestToken } from "./token.js";

/** A token behind `p11-kit server`, which other programs, or containers, reach by a socket. */
export interface Remote extends TestToken {
  /** Folder of the socket, which is named `p11`. */
  folder: string;
  /** Ends the server at once, and what serves its clients, as a crash of the machine would. */
  kill(): Promise<void>;
  /** Starts it again. */
  start(): Promise<void>;
}

/** Serves a token, to this process too: one at a time. */
export async function serveToken(behind: TestToken): Promise<Remote> {
  const { folder, remove } = temporaryFolder("p11-kit");
  const socket = path.join(folder, "p11");
  const uri = `pkcs11:token=${encodeURIComponent(behind.tokenLabel)}`;
  const args = ["server", "--foreground", "--name", socket, "--provider", behind.module, uri];
  let server: ReturnType<typeof startProcess>;
  const start = async (): Promise<void> => {
    server = startProcess("p11-kit", args, { env: behind.env });
    await until("p11-kit server", () => {
      if (!server.alive()) throw new Error(`p11-kit server ended: ${server.output()}`);
      return accepts(socket);
    });
  };
  await start();
  const variables = { P11_KIT_SERVER_ADDRESS: `unix:path=${socket}` };
  Object.assign(process.env, variables);
  Object.assign(realProcess.env, variables); // where the module looks
  const { tokenLabel, pin } = behind;
  return {
    module: modulePath("p11-kit-client.so"),
    tokenLabel,
    pin,
    env: { ...process.env },
    folder,
    kill: async () => {
      const { pid } = server.child;
      // One process serves each connection, and outlives the server.
      const serving = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
      for (const one of [pid, ...serving.map(Number)]) process.kill(Number(one), "SIGKILL");
      await until("p11-kit server ends", () => !server.alive());
    },
    start,
    stop: async () => {
      await server.stop();
      await behind.stop();
      remove();
    },
  };
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => resolve(true));
    connection.on("error", () => resolve(false));
    connection.on("connect", () => connection.destroy());
  });
}
