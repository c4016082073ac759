import { existsSync } from "node:fs";
import path from "node:path";
import { freePorts, listens } from "./ports.js";
import { type Server, startProcess, until } from "./process.js";
import { type Credentials, callQueryApi } from "./query-api.js";

/** Where scripts/python.mjs installs it. */
const python = path.join(__dirname, "..", "..", "build", "python", "bin", "python");
const program = path.join(path.dirname(python), "moto_server");
const serverWithImports = path.join(__dirname, "moto-server.py");

export function missingMoto(): string[] {
  return existsSync(program) ? [] : [program];
}

/** moto's server: imitates AWS on one endpoint. */
export interface Moto extends Server {
  endpoint: string;
  /** An IAM user's access key that may call everything. */
  credentials: Credentials;
}

/**
 * Starts moto, with an IAM user who has an access key. It checks signatures and rights from then on:
 * `INITIAL_NO_AUTH_ACTION_COUNT` lets just the calls pass that make the user.
 */
export async function startMoto(): Promise<Moto> {
  const port = await freePorts(1);
  const server = startProcess(python, [serverWithImports, "-H", "127.0.0.1", "-p", String(port)], {
    env: { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: String(setUp.length) },
  });
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await until("moto", () => {
      if (!server.alive()) throw new Error(`moto ended: ${server.output()}`);
      return listens(port);
    });
    const answers: string[] = [];
    for (const call of setUp) {
      const { status, text } = await callQueryApi(endpoint, "iam", { ...call, UserName: "tester" }, unknown);
      if (status !== 200) throw new Error(`moto, ${call.Action}: ${status} ${text}`);
      answers.push(text);
    }
    const answer = answers.join();
    const credentials = {
      accessKeyId: element(answer, "AccessKeyId"),
      secretAccessKey: element(answer, "SecretAccessKey"),
    };
    return { endpoint, credentials, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

// moto finds the service in the signature's scope; these calls pass with any key
const unknown = { accessKeyId: "UNKNOWN", secretAccessKey: "unknown" };
const everything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };
const setUp: Record<string, string>[] = [
  { Action: "CreateUser", Version: "2010-05-08" },
  {
    Action: "PutUserPolicy",
    Version: "2010-05-08",
    PolicyName: "all",
    PolicyDocument: JSON.stringify(everything),
  },
  { Action: "CreateAccessKey", Version: "2010-05-08" },
];

function element(xml: string, name: string): string {
  const text = new RegExp(`<${name}>([^<]+)</${name}>`).exec(xml)?.[1];
  if (text === undefined) throw new Error(`no ${name} in moto's answer`);
  return text;
}
