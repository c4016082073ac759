import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { say } from "./output.js";
import { SignalCopies } from "./signal-copies.js";

/** Passed on to the command. */
const passed = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/**
 * Runs a command with this process's input and output, and passes signals on to it, each once.
 *
 * @returns its exit code, as shells give it: 128 and the number of the signal that ended it, 127 where there is no such
 *   command, 126 where it cannot be run
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const child = spawn(command, args, { env, stdio: "inherit" });
  const copies = new SignalCopies();
  const pass = (signal: NodeJS.Signals): void => {
    for (let left = copies.due(signal); left > 0; left--) child.kill(signal);
  };
  for (const signal of passed) process.on(signal, pass);
  copies.note();
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
