import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import path from "node:path";
import { text as textOf } from "node:stream/consumers";
import { freePorts, listens } from "./ports.js";
import { halt, type Server, startProcess, temporaryFolder, until } from "./process.js";

/** Where scripts/python.mjs installs it. */
export const baoProgram = path.join(__dirname, "..", "..", "build", "python", "bin", "bao");

export function missingOpenBao(): string[] {
  return existsSync(baoProgram) ? [] : [baoProgram];
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks at what it asked for
type Json = any;

export interface BaoCall {
  method?: "GET" | "POST" | "DELETE";
  body?: object;
  token?: string;
  namespace?: string;
}

/** A real OpenBao server of the test's own, with Transit at `transit`. */
export interface Bao extends Server {
  address: string;
  port: number;
  /** The root token. */
  token: string;
  /** The authority of its certificate in PEM, and its file, when it speaks TLS. */
  ca: string | undefined;
  caFile: string | undefined;
  /** A folder that goes when the server does. */
  folder: string;
  /** Makes a call as root, in code that is not ours, and gives the answer's JSON; rejects with `status` and `errors`. */
  call(path: string, call?: BaoCall): Promise<Json>;
  /** A token with these policies, given as text, and no other right than every token has. */
  tokenWith(policy: string, options?: object): Promise<string>;
  /** Ends the server at once, as a crash does, and starts it again on the same port; `persistent` only. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  suspend(): void;
  resume(): void;
}

export interface BaoOptions {
  /** With a certificate for 127.0.0.1 and localhost of an authority of its own. */
  tls?: boolean;
  /** With storage in files, so that it can be killed and started again. */
  persistent?: boolean;
}

/** Starts OpenBao on a free port of 127.0.0.1; as `bao server -dev`, unless it is to be persistent. */
export async function startBao({ tls = false, persistent = false }: BaoOptions = {}): Promise<Bao> {
  const { folder, remove } = temporaryFolder("bao");
  const port = await freePorts(2); // the second one is the cluster's
  const scheme = tls ? "https" : "http";
  const address = `${scheme}://127.0.0.1:${port}`;
  const certificates = path.join(folder, "tls");
  mkdirSync(certificates);
  mkdirSync(path.join(folder, "data"));
  const caFile = tls ? path.join(certificates, "vault-ca.pem") : undefined;
  const config = path.join(folder, "config.hcl");
  if (persistent && tls) throw new Error("a persistent server of the tests has no certificate");
  writeFileSync(
    config,
    `storage "raft" {
  path = "${folder}/data"
  node_id = "only"
}
listener "tcp" {
  address = "127.0.0.1:${port}"
  tls_disable = true
}
api_addr = "${address}"
cluster_addr = "https://127.0.0.1:${port + 1}"
`,
  );
  let token = `root-${randomBytes(12).toString("hex")}`;
  let unsealKey = "";
  const args = persistent
    ? ["server", `-config=${config}`]
    : [
        "server",
        "-dev",
        "-dev-no-store-token",
        `-dev-listen-address=127.0.0.1:${port}`,
        ...(tls ? ["-dev-tls", `-dev-tls-cert-dir=${certificates}`] : []),
      ];
  const launch = () =>
    startProcess(baoProgram, args, {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, ...(!persistent && { BAO_DEV_ROOT_TOKEN_ID: token }) },
    });
  let server = launch();
  const call = (where: string, options: BaoCall = {}) =>
    callBao(address, caFile, where, { token, ...options });
  const ready = async (health: number[]): Promise<void> => {
    await until("OpenBao", async () => {
      if (!server.alive()) throw new Error(`OpenBao ended: ${server.output()}`);
      if (!(await listens(port))) return false;
      return call("sys/health").then(
        () => health.includes(200),
        ({ status }) => health.includes(status),
      );
    });
  };
  const unseal = () => call("sys/unseal", { body: { key: unsealKey } });
  const stop = async (): Promise<void> => {
    server.child.kill("SIGCONT");
    await server.stop();
    remove();
  };
  try {
    if (persistent) {
      await ready([501]);
      const made = await call("sys/init", { body: { secret_shares: 1, secret_threshold: 1 } });
      token = made.root_token;
      unsealKey = made.keys_base64[0];
      await unseal();
    }
    await ready([200]);
    await call("sys/mounts/transit", { body: { type: "transit" } });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address,
    port,
    get token() {
      return token;
    },
    ca: caFile && readFileSync(caFile, "utf8"),
    caFile,
    folder,
    call,
    async tokenWith(policy, options = {}) {
      const name = `policy-${randomBytes(6).toString("hex")}`;
      await call(`sys/policies/acl/${name}`, { body: { policy } });
      const { auth } = await call("auth/token/create", { body: { policies: [name], ...options } });
      return auth.client_token;
    },
    async kill() {
      const ended = new Promise((resolve) => server.child.once("exit", resolve));
      server.child.kill("SIGKILL");
      await ended;
    },
    async restart() {
      server = launch();
      await ready([503]);
      await unseal();
      await ready([200]);
    },
    suspend: () => halt(server.child.pid),
    resume: () => void server.child.kill("SIGCONT"),
    stop,
  };
}

/** One call of the HTTP API with Node's own means. */
export function callBao(
  address: string,
  caFile: string | undefined,
  where: string,
  { method, body, token, namespace }: BaoCall = {},
): Promise<Json> {
  const send = address.startsWith("https:") ? requestHttps : requestHttp;
  const options = {
    method: method ?? (body ? "POST" : "GET"),
    agent: false,
    ca: caFile && readFileSync(caFile),
    headers: {
      ...(token && { "X-Vault-Token": token }),
      ...(namespace && { "X-Vault-Namespace": namespace }),
    },
  } as const;
  return new Promise((resolve, reject) => {
    const request = send(`${address}/v1/${where}`, options, (answer) => {
      textOf(answer)
        .then((text) => {
          const json = text === "" ? {} : JSON.parse(text);
          const status = answer.statusCode ?? 0;
          if (status < 300) return resolve(json);
          const error = new Error(`OpenBao, ${where}: ${status} ${text}`);
          throw Object.assign(error, { status, errors: json.errors });
        })
        .catch(reject);
    });
    request.on("error", reject);
    request.end(body && JSON.stringify(body));
  });
}
