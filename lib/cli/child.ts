import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import process from "node:process";
import { say } from "./output.js";

/** Passed on to the command. What a terminal sends goes to the command by itself. */
const passed = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
const fromTerminals: readonly NodeJS.Signals[] = ["SIGINT", "SIGQUIT", "SIGHUP"];

/**
 * Runs a command with this process's input and output, and passes signals on to it.
 *
 * @returns its exit code, as shells give it: 128 and the number of the signal that ended it, 127 where there is no such
 *   command, 126 where it cannot be run
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const pass = (signal: NodeJS.Signals): void => {
    if (!fromTerminals.includes(signal) || !isInForeground()) child.kill(signal);
  };
  for (const signal of passed) process.on(signal, pass); // before the command runs: one that comes from now on is its own
  const child = spawn(command, args, { env, stdio: "inherit" });
  try {
    return await new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
      child.once("error", ({ code }: NodeJS.ErrnoException) => {
        if (child.pid !== undefined) return; // it runs: a signal could not be sent
        say(`${command}: ${code === "ENOENT" ? "there is no such command" : `cannot be run (${code})`}`);
        resolve(code === "ENOENT" ? 127 : 126);
      });
    });
  } finally {
    for (const signal of passed) process.off(signal, pass);
  }
}

/** Whether this process, and the command with it, is what a terminal sends its signals to (proc(5): pgrp is tpgid). */
function isInForeground(): boolean {
  try {
    const fields = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY === true; // no Linux
  }
}
