import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { createInterface } from "node:readline";
import { halt } from "./process.js";

const piece = 1 << 20;

/**
 * How many times these bytes, or any of several of one length, are in a process's writable memory. The process stands still
 * meanwhile: V8's threads give memory back at any time.
 *
 * @param where `javascript` leaves out what native code got from malloc: there Node and OpenSSL have their buffers, which it frees and nobody wipes
 */
export function copiesIn(
  pid: number,
  wanted: Uint8Array | readonly Uint8Array[],
  where: "all" | "javascript" = "all",
): number {
  try {
    halt(pid);
    return search(pid, wanted, where);
  } finally {
    process.kill(pid, "SIGCONT");
  }
}

function search(
  pid: number,
  wanted: Uint8Array | readonly Uint8Array[],
  where: "all" | "javascript",
): number {
  const all = wanted instanceof Uint8Array ? [wanted] : wanted;
  const [{ length: size } = Buffer.alloc(0)] = all;
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const bytes = Buffer.alloc(piece);
  let copies = 0;
  for (const line of readFileSync(`/proc/${pid}/maps`, "latin1").split("\n")) {
    const [, first, last] = /^([\da-f]+)-([\da-f]+) rw/.exec(line) ?? [];
    if (first === undefined || line.endsWith("[vvar]")) continue;
    if (where === "javascript" && line.endsWith("[heap]")) continue;
    const end = BigInt(`0x${last}`);
    for (let at = BigInt(`0x${first}`); end - at >= size; at += BigInt(piece - size + 1)) {
      const length = readSync(memory, bytes, 0, Math.min(piece, Number(end - at)), at);
      const text = bytes.subarray(0, length);
      for (const one of all) {
        for (let found = text.indexOf(one); found >= 0; found = text.indexOf(one, found + 1)) copies++;
      }
    }
  }
  closeSync(memory);
  return copies;
}

/** A program whose memory is searched: a line on its standard input is a command, and one on its standard output tells that it is done. */
export interface SearchedProgram {
  pid: number;
  /** Has it do this, and waits until it is done; "started" is what it says first. */
  after(command: string): Promise<void>;
  end(): void;
}

export function startSearched(args: string[], env: NodeJS.ProcessEnv): SearchedProgram {
  const child = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: Number(child.pid),
    async after(command) {
      if (command !== "started") child.stdin.write(`${command}\n`);
      const { value } = await answers.next();
      if (value !== command) throw new Error(`"${command}" was answered ${value}`);
    },
    end: () => void child.kill("SIGKILL"),
  };
}
