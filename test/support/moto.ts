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
  /** Those of the other users, by name. */
  users: Record<string, Credentials>;
}

/**
 * Starts moto, with an IAM user who has an access key. It checks signatures and rights from then on:
 * `INITIAL_NO_AUTH_ACTION_COUNT` lets just the calls pass that make the users and roles.
 *
 * @param policies of other users, by name; moto judges actions, and takes no other resource than `*` for KMS
 * @param roles names of roles that everybody may assume and that may do everything
 */
export async function startMoto(policies: Record<string, object> = {}, roles: string[] = []): Promise<Moto> {
  const port = await freePorts(1);
  const users = Object.entries({ tester: everything, ...policies });
  const server = startProcess(python, [serverWithImports, "-H", "127.0.0.1", "-p", String(port)], {
    env: { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: String(users.length * 3 + roles.length * 2) },
  });
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await until("moto", () => {
      if (!server.alive()) throw new Error(`moto ended: ${server.output()}`);
      return listens(port);
    });
    const made: [string, Credentials][] = [];
    for (const [name, policy] of users) made.push([name, await newUser(endpoint, name, policy)]);
    for (const name of roles) await newRole(endpoint, name);
    const { tester, ...others } = Object.fromEntries(made);
    return { endpoint, credentials: tester as Credentials, users: others, stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

// moto finds the service in the signature's scope; these calls pass with any key
const unknown = { accessKeyId: "UNKNOWN", secretAccessKey: "unknown" };
const everything = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] };

/** Makes a user with a policy and an access key, in three calls. */
async function newUser(endpoint: string, UserName: string, policy: object): Promise<Credentials> {
  const document = { PolicyName: "policy", PolicyDocument: JSON.stringify(policy) };
  await iam(endpoint, "CreateUser", { UserName });
  await iam(endpoint, "PutUserPolicy", { UserName, ...document });
  const answer = await iam(endpoint, "CreateAccessKey", { UserName });
  return {
    accessKeyId: element(answer, "AccessKeyId"),
    secretAccessKey: element(answer, "SecretAccessKey"),
  };
}

/** Makes a role, in two calls. */
async function newRole(endpoint: string, RoleName: string): Promise<void> {
  const anybody = { Effect: "Allow", Principal: { AWS: "*" }, Action: "sts:AssumeRole" };
  const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [anybody] });
  await iam(endpoint, "CreateRole", { RoleName, AssumeRolePolicyDocument });
  const document = { PolicyName: "policy", PolicyDocument: JSON.stringify(everything) };
  await iam(endpoint, "PutRolePolicy", { RoleName, ...document });
}

async function iam(endpoint: string, Action: string, parameters: Record<string, string>): Promise<string> {
  const call = { Action, Version: "2010-05-08", ...parameters };
  const { status, text } = await callQueryApi(endpoint, "iam", call, unknown);
  if (status !== 200) throw new Error(`moto, ${Action}: ${status} ${text}`);
  return text;
}

function element(xml: string, name: string): string {
  const text = new RegExp(`<${name}>([^<]+)</${name}>`).exec(xml)?.[1];
  if (text === undefined) throw new Error(`no ${name} in moto's answer`);
  return text;
}
