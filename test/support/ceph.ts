import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { cephConf } from "./ceph-conf.js";
import { listens } from "./ports.js";
import { runTool, type Server, startProcess, until, which } from "./process.js";

const bound = 60_000;

/** A throwaway Ceph: one monitor and one in-memory OSD, their programs and their administration. */
export class Ceph implements Server {
  readonly #folder: string;
  readonly #servers: Server[] = [];
  readonly #conf: string;

  /** `folder`: an empty one, for its state. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#conf = path.join(folder, "ceph.conf");
  }

  /** Starts the cluster; `gatewayPort` is where a radosgw will listen. */
  async start(monitorPort: number, gatewayPort: number): Promise<void> {
    for (const name of ["run", "log", "mon", "osd", "rgw", "crash"]) mkdirSync(path.join(this.#folder, name));
    const [fsid, osd] = [randomUUID(), randomUUID()];
    writeFileSync(this.#conf, cephConf({ folder: this.#folder, fsid, monitorPort, gatewayPort }));

    const map = path.join(this.#folder, "monmap");
    const address = ["--addv", "a", `[v2:127.0.0.1:${monitorPort}]`];
    await tool("monmaptool", [
      "--create",
      "--fsid",
      fsid,
      ...address,
      "--set-min-mon-release",
      "pacific",
      map,
    ]);
    await this.#tool("ceph-mon", "-i", "a", "--mkfs", "--monmap", map);
    await this.serve("ceph-mon", ["-i", "a"], () => listens(monitorPort));

    await this.#tool("ceph", "osd", "new", osd, "0");
    await this.#tool("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd);
    await this.serve("ceph-osd", ["-i", "0"], async () => {
      const status = JSON.parse(await this.#tool("ceph", "osd", "stat", "-f", "json")) as {
        num_up_osds: number;
      };
      return status.num_up_osds === 1;
    });
  }

  /** Runs radosgw-admin. */
  admin(...args: string[]): Promise<string> {
    return this.#tool("radosgw-admin", ...args);
  }

  /** Starts a daemon and waits until it is ready. */
  async serve(program: string, args: string[], ready: () => Promise<boolean>): Promise<void> {
    const server = startProcess(found(program), ["-c", this.#conf, ...args, "-f"], {
      env: withoutCeph(process.env),
      cwd: "/", // Debian 13's Ceph 18 looks for the OSD's object classes in lib/… of the working folder
    });
    // nobody wants what memstore would write out on SIGTERM
    this.#servers.push({
      stop() {
        server.child.kill("SIGKILL");
        return server.stop();
      },
    });
    await until(
      program,
      () => {
        if (!server.alive()) throw new Error(`${program} ended: ${server.output()}`);
        return ready();
      },
      bound,
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }

  #tool(program: string, ...args: string[]): Promise<string> {
    return tool(program, ["-c", this.#conf, ...args]);
  }
}

function tool(program: string, args: string[]): Promise<string> {
  return runTool(found(program), args, { timeout: bound, env: withoutCeph(process.env) });
}

/** Ceph's programs obey these before any argument. */
function withoutCeph({ CEPH_ARGS, CEPH_CONF, CEPH_KEYRING, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}

function found(program: string): string {
  const file = which(program);
  if (file === undefined) throw new Error(`${program} is not installed (npm run setup)`);
  return file;
}
