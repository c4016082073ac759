import { execFile } from "node:child_process";
import path from "node:path";
import process from "node:process";

/** How a program ended. */
export interface Ended {
  code: unknown;
  stdout: string;
  stderr: string;
}

/** Runs a program of the examples, with these variables and nothing else of this process's but PATH. */
export function runExample(
  program: string,
  { args = [], env, input = "" }: { args?: string[]; env: NodeJS.ProcessEnv; input?: string },
): Promise<Ended> {
  const file = path.join(__dirname, "..", "..", "examples", program);
  const options = {
    env: { PATH: process.env.PATH, NODE_NO_WARNINGS: "1", ...env },
    ...{ timeout: 60_000, maxBuffer: 64 << 20 },
  };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? (error ? error.signal : 0), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}
