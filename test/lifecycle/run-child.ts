import { execFile } from "node:child_process";
import path from "node:path";
import type { ChildKey } from "../support/backends.js";

export const child = path.join(__dirname, "child.cjs");

/** How a process ended, and what it wrote. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs one scenario of child.cjs in a process of its own, over the built package.
 *
 * @param device what the scenario opens its keys with; `env` is given to the process too
 * @param go told to it by its standard input, for a scenario that waits for that
 */
export function runChild(scenario: string, device: object, go?: Promise<unknown>): Promise<Outcome> {
  return new Promise((resolve) => {
    const args = ["--expose-gc", child, scenario, JSON.stringify(device)];
    const options = { timeout: 60_000, env: { ...process.env, ...(device as Partial<ChildKey>).env } };
    const started = execFile(process.execPath, args, options, (_, stdout, stderr) =>
      resolve({ code: started.exitCode, signal: started.signalCode, stdout, stderr }),
    );
    void go?.then(() => started.stdin?.end("go"));
  });
}
