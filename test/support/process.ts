import { type ChildProcess, type ExecFileOptions, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path, { delimiter } from "node:path";
import { promisify } from "node:util";
import { runInThisContext } from "node:vm";

/** jest gives tests a copy of `process`, which hears of no event and whose environment is not that of native code. */
export const realProcess = runInThisContext("process") as NodeJS.Process;

/** A server of ours: its end is awaited, and nobody else's process is ever touched. */
export interface Server {
  stop(): Promise<void>;
}

/** The path of a program, or undefined when it is not installed. */
export function which(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.map((folder) => path.join(folder, program)).find((file) => existsSync(file));
}

/** A new private folder, removed by `remove`. */
export function temporaryFolder(name: string): { folder: string; remove(): void } {
  const folder = mkdtempSync(path.join(tmpdir(), `aws-hmac-${name}-`));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

const children = new Set<ChildProcess>();
const endAll = (): void => {
  for (const child of children) child.kill("SIGKILL");
};

/** Kills `child` when this process exits, were it in the middle of a start. */
function endWithUs(child: ChildProcess): void {
  if (children.size === 0) realProcess.on("exit", endAll);
  children.add(child);
  child.once("close", () => {
    children.delete(child);
    if (children.size === 0) realProcess.off("exit", endAll);
  });
}

/** Polls `ready` until it gives true; rejects after `bound` milliseconds, naming `what`. */
export async function until(
  what: string,
  ready: () => boolean | Promise<boolean>,
  bound = 30_000,
): Promise<void> {
  const end = Date.now() + bound;
  while (!(await ready())) {
    if (Date.now() > end) throw new Error(`${what}: not ready after ${bound} ms`);
    await new Promise((next) => setTimeout(next, 20));
  }
}

/** Runs a program to its end, with `input` on its standard input, and gives what it wrote to its standard output. */
export async function runTool(
  program: string,
  args: string[],
  { input, ...options }: ExecFileOptions & { input?: string } = {},
): Promise<string> {
  const running = promisify(execFile)(program, args, { ...options, encoding: "utf8" });
  if (input !== undefined) running.child.stdin?.end(input);
  endWithUs(running.child);
  return (await running).stdout;
}

/** Starts a server program; its output is kept for the error when it ends early. */
export function startProcess(
  program: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Server & { child: ChildProcess; output(): string; alive(): boolean } {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  endWithUs(child);
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-8192);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  let ended = false;
  const exit = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true;
      resolve();
    };
    child.once("exit", end);
    child.once("error", (error) => {
      output += String(error);
      end();
    });
  });
  return {
    child,
    output: () => output,
    alive: () => !ended,
    async stop() {
      if (ended) return exit;
      child.kill("SIGTERM");
      const kill = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await exit;
      clearTimeout(kill);
    },
  };
}

/** Sends SIGSTOP and returns when all threads of the process stand still: until then they work on. SIGCONT lets them go on. */
export function halt(pid: number | undefined): void {
  if (pid === undefined) throw new Error("there is no process to stop");
  process.kill(pid, "SIGSTOP");
  const isStopped = (thread: string): boolean =>
    /\) [Tt] /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1"));
  for (const end = performance.now() + 5_000; !readdirSync(`/proc/${pid}/task`).every(isStopped); ) {
    if (performance.now() > end) throw new Error(`process ${pid} did not stop`);
  }
}
