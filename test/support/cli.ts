import { execFile, spawn } from "node:child_process";
import path from "node:path";
import process from "node:process";
import type { ChildKey } from "./backends.js";
import type { Ended } from "./example.js";

/** The program as `npm test` has built it. */
export const cliProgram = path.join(__dirname, "..", "..", "dist", "cli", "main.js");

/** The variables of a process of the command line: PATH and these, no file of this user's. */
export function cliEnvironment(env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    ...{ NODE_NO_WARNINGS: "1", HOME: "/nonexistent", AWS_EC2_METADATA_DISABLED: "true" },
    TPM2_PKCS11_STORE: "/nonexistent", // p11-kit starts tpm2-pkcs11, which else makes a database in the working directory
    ...env,
  };
}

/** Runs `aws-hmac` with these arguments, without a terminal. */
export function runCli(
  args: readonly string[],
  { env = {}, input = "" }: { env?: NodeJS.ProcessEnv; input?: string } = {},
): Promise<Ended> {
  const options = { env: cliEnvironment(env), timeout: 60_000, maxBuffer: 256 << 20 };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [cliProgram, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? (error ? error.signal : 0), stdout, stderr }),
    );
    child.stdin?.on("error", () => undefined); // it may not read its input
    child.stdin?.end(input);
  });
}

/**
 * Runs `aws-hmac` at a terminal of its own (Python's pty), on which each of `answers` is typed when its question is there.
 *
 * @param through a program that the command line is given to, as its arguments
 */
export async function runAtTerminal(
  args: readonly string[],
  answers: readonly { question: string; answer: string }[],
  { env = {}, through = [] }: { env?: NodeJS.ProcessEnv; through?: readonly string[] } = {},
): Promise<{ code: number | null; shown: string }> {
  const bridge = "import pty, os, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
  const child = spawn("python3", ["-c", bridge, ...through, process.execPath, cliProgram, ...args], {
    env: cliEnvironment(env),
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  const waiting = [...answers];
  let searched = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    const [next] = waiting;
    const at = next ? shown.indexOf(next.question, searched) : -1;
    if (!next || at < 0) return;
    searched = at + next.question.length;
    waiting.shift();
    child.stdin.write(next.answer);
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, shown };
}

/** The flags and variables with which `aws-hmac` opens a device's key. */
export function keyFlags(child: ChildKey | undefined): { args: string[]; env: NodeJS.ProcessEnv } {
  if (!child) throw new Error("the command line opens keys of devices only");
  const { reference, options, env } = child;
  const { pin, auth } = options as { pin?: string; auth?: { password?: string } };
  const password = auth?.password;
  return {
    args: [
      ...["--key", reference],
      ...(pin === undefined ? [] : ["--pin-env", "TEST_PIN"]),
      ...(password === undefined ? [] : ["--password-env", "TEST_PASSWORD"]),
    ],
    env: { ...env, TEST_PIN: pin, TEST_PASSWORD: password },
  };
}
