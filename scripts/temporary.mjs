// A place for temporary files that does not outlive the program, Ctrl-C included.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";

/**
 * Gives this process, and all it starts from now on, one new folder for temporary files. When this process exits or
 * is interrupted, whatever still works with that folder is killed and the folder is removed.
 */
export function useOwnTemporaryFolder() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "aws-hmac-run-"));
  process.env.TMPDIR = folder;
  process.once("exit", () => {
    for (const pid of processesIn(folder)) kill(pid);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  });
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) {
    process.once(signal, () => process.exit(128 + os.constants.signals[signal]));
  }
}

/** The processes, this one apart, whose environment names the folder: they were started with it. */
function processesIn(folder) {
  const started = (pid) =>
    readEnvironment(pid)
      .split("\0")
      .some((entry) => entry.startsWith(`TMPDIR=${folder}`));
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter(started)
    .map(Number);
}

function readEnvironment(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8");
  } catch {
    return ""; // it has ended, or is another user's
  }
}

function kill(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
