import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { checkout, installOptions } from "../../support/packed.js";
import { runTool } from "../../support/process.js";

/** What scripts/test-package.mjs has prepared. */
export interface Plan {
  arch: "x64" | "arm64";
  /** Whether this machine runs it by itself; else qemu does. */
  isNative: boolean;
  tarball: string;
  /** Folder of the package `npm`. */
  npm: string;
  /** Folders of the packages of Node, by major version. */
  nodes: Record<string, string>;
  /** Folders of the rooms, by suite. */
  rooms: Record<string, { bare: string; hsm: string }>;
}

const debianRoot = path.join(checkout, "scripts", "debian-root.sh");
const user = "1000";

export interface RunOptions {
  /** In `bare` unless told otherwise. */
  room?: "bare" | "hsm";
  env?: Record<string, string>;
  input?: string;
  /** Further `debian-root.sh enter` arguments. */
  mounts?: string[];
}

/** An empty project with the tarball in it, and a Debian to run it in: read-only, by a user who is not root, with Node and nothing else. */
export class Room {
  readonly #plan: Plan;
  readonly #suite: string;
  readonly #node: string;
  readonly project: string;

  constructor(plan: Plan, suite: string, node: string, project: string) {
    this.#plan = plan;
    this.#suite = suite;
    this.#node = node;
    this.project = project;
    cpSync(path.join(__dirname, "programs"), project, { recursive: true });
    writeFileSync(path.join(project, "package.json"), JSON.stringify({ private: true }));
  }

  /** Installs the tarball as a user does: in the room, but for an emulated one, where npm would take minutes. */
  async install(): Promise<void> {
    const args = ["install", ...installOptions, "./aws-hmac.tgz"];
    copyFileSync(this.#plan.tarball, path.join(this.project, "aws-hmac.tgz"));
    if (!this.#plan.isNative) await runTool("npm", args, { cwd: this.project });
    const cache = path.join(checkout, "build", "rooms", "npm-cache");
    mkdirSync(cache, { recursive: true });
    await runTool("chown", ["-R", `${user}:${user}`, this.project, cache]);
    if (!this.#plan.isNative) return;
    await this.npm("npm", args, { mounts: ["--bind", cache, "/mnt"], env: { npm_config_cache: "/mnt" } });
  }

  /** Runs npm's own programs. */
  npm(program: "npm" | "npx", args: string[], options?: RunOptions): Promise<string> {
    return this.run([`/opt/npm/bin/${program}-cli.js`, ...args], options);
  }

  /** Runs Node in the room and gives what it prints. */
  run(args: string[], options: RunOptions = {}): Promise<string> {
    return this.exec(["/opt/node/bin/node", ...args], options);
  }

  /** Runs a program in the room, emulated where it must be. */
  exec(command: string[], { room = "bare", env = {}, input, mounts = [] }: RunOptions = {}): Promise<string> {
    const folder = this.#plan.rooms[this.#suite]?.[room] ?? "";
    const node = this.#plan.nodes[this.#node] ?? "";
    const emulator = this.#plan.isNative ? [] : ["/usr/bin/qemu-aarch64-static"];
    const settings = { HOME: "/app", PATH: "/opt/node/bin:/usr/bin:/bin", NODE_NO_WARNINGS: "1", ...env };
    return runTool(
      debianRoot,
      [
        ...["enter", folder, "--read-only", "--user", user, "--in", "/app"],
        ...["--show", node, "/opt/node", "--show", this.#plan.npm, "/opt/npm"],
        ...emulator.flatMap((file) => ["--show", file, "/opt/qemu"]),
        ...["--bind", this.project, "/app", ...mounts],
        ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
        ...["--", ...emulator.map(() => "/opt/qemu")],
        ...command,
      ],
      { ...(input !== undefined && { input }), maxBuffer: 16 << 20 },
    );
  }
}
