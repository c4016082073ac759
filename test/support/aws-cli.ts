import { existsSync } from "node:fs";
import path from "node:path";
import { runTool } from "./process.js";

/** Where scripts/python.mjs installs it. */
const program = path.join(__dirname, "..", "..", "build", "python", "bin", "aws");

export function missingAwsCli(): string[] {
  return existsSync(program) ? [] : [program];
}

export const awsCli = program;

/** Runs the AWS CLI with these variables and PATH, and gives what it prints. */
export function runAwsCli(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const variables = { PATH: process.env.PATH, HOME: "/nonexistent", AWS_PAGER: "", ...env };
  return runTool(program, args, { env: variables, timeout: 60_000 });
}
