import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import process from "node:process";
import { text } from "node:stream/consumers";
import { cliEnvironment, cliProgram } from "./cli.js";
import { realProcess, until } from "./process.js";

/** `aws-hmac serve` or the like, as it runs. */
export interface Serving {
  child: ChildProcess;
  /** What it has printed, to stdout and to stderr. */
  stdout(): string;
  stderr(): string;
  /** Sends it a signal, and gives its exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<unknown>;
}

/** Starts `aws-hmac` with these arguments; it is killed when this process ends. */
export function startCli(args: readonly string[], { env = {} }: { env?: NodeJS.ProcessEnv } = {}): Serving {
  const child = spawn(process.execPath, [cliProgram, ...args], { env: cliEnvironment(env), stdio: "pipe" });
  const kill = (): void => void child.kill("SIGKILL");
  realProcess.on("exit", kill);
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    stdout += more;
  });
  child.stderr.setEncoding("utf8").on("data", (more: string) => {
    stderr += more;
  });
  const ended = once(child, "close").then(([code, signal]) => {
    realProcess.off("exit", kill);
    return code ?? signal;
  });
  return {
    ...{ child, stdout: () => stdout, stderr: () => stderr },
    async end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

/** Starts `aws-hmac serve --json`; gives the variables that it prints too. */
export async function startServe(
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv },
): Promise<Serving & { variables: Record<string, string> }> {
  const serving = startCli(["serve", "--json", ...args], options);
  await until("aws-hmac serve", () => {
    const { exitCode } = serving.child;
    if (exitCode !== null) throw new Error(`aws-hmac serve ended (${exitCode}): ${serving.stderr()}`);
    return serving.stdout().endsWith("}\n");
  });
  return { ...serving, variables: JSON.parse(serving.stdout()) };
}

/** An answer over HTTP, whatever its status. */
export interface HttpAnswer {
  status: number;
  headers: IncomingMessage["headers"];
  body: string;
}

/** A request with exactly these headers, `Host` too, which fetch() would not let be set. */
export async function ask(
  url: string,
  { method = "GET", headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<HttpAnswer> {
  const outgoing = request(url, { method, headers, agent: false });
  outgoing.end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}
