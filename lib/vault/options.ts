import type { Agent } from "node:http";
import { checkTimeout, invalid, type Secret, secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { checkTokenText, type VaultTokenCallback } from "./token.js";

/** Which Vault or OpenBao server, and how to reach it. What is not given is taken from the environment. */
export interface VaultServerOptions {
  /** `https://vault.example:8200`, without a path; `http://` sends tokens in clear. By default `BAO_ADDR` or `VAULT_ADDR`. */
  address?: string | undefined;
  /**
   * The token, or a function that gives it, such as `vaultAppRole({ … })`; `false` sends none, for an agent or proxy that
   * adds its own. By default `BAO_TOKEN` or `VAULT_TOKEN`.
   */
  token?: Secret | VaultTokenCallback | false | undefined;
  /** A file with the token, as an agent writes it (`sink "file"`); it is read for each request. Instead of `token`. */
  tokenFile?: string | undefined;
  /** The namespace, e.g. `team/a`; the root namespace is `""`. By default `BAO_NAMESPACE` or `VAULT_NAMESPACE`. */
  namespace?: string | undefined;
  /** PEM certificates of the authorities that the server's is to be signed by, in place of Node's own. */
  ca?: string | Uint8Array | undefined;
  /** The path of such a PEM file. By default `BAO_CACERT` or `VAULT_CACERT`. */
  caFile?: string | undefined;
  /** PEM certificate that this client shows. By default that of the file in `BAO_CLIENT_CERT` or `VAULT_CLIENT_CERT`. */
  clientCert?: string | Uint8Array | undefined;
  /** Its PEM private key. By default that of the file in `BAO_CLIENT_KEY` or `VAULT_CLIENT_KEY`. */
  clientKey?: string | Uint8Array | undefined;
  /** The name in the server's certificate, where it is not the address's. By default `BAO_TLS_SERVER_NAME` or `VAULT_TLS_SERVER_NAME`. */
  serverName?: string | undefined;
  /** Milliseconds that a call may take, repetitions and logins included; 30 000 by default. */
  timeout?: number | undefined;
  /** How often a call is repeated after errors that pass: 0..10, 3 by default. */
  retries?: number | undefined;
  /** An agent of your own, for a proxy say. It is not destroyed, and must be for http or https as the address is. */
  agent?: Agent | undefined;
}

/** Text, or the path of a file with it. */
export type TextSource =
  | { readonly text: string | Buffer }
  | { readonly file: string; readonly option: string };

/** Where the token comes from. */
export type TokenFrom =
  | { readonly kind: "none" }
  | { readonly kind: "fixed"; readonly token: Buffer }
  | { readonly kind: "file"; readonly file: string }
  | { readonly kind: "callback"; readonly callback: VaultTokenCallback };

/** A server's options, checked and complete. It holds a copy of the token: a VaultClient wipes it when it is closed. */
export interface VaultServer {
  readonly address: URL;
  readonly token: TokenFrom;
  readonly namespace: string;
  readonly tls: {
    readonly ca?: TextSource | undefined;
    readonly cert?: TextSource | undefined;
    readonly key?: TextSource | undefined;
    readonly servername?: string | undefined;
  };
  readonly timeout: number;
  readonly retries: number;
  readonly agent?: Agent | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Checks a server's options, and completes them from the environment: each `VAULT_…` variable, or `BAO_…`, which counts first.
 * An empty variable is none.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function checkVaultServer(
  options: VaultServerOptions,
  environment: Environment = process.env,
): VaultServer {
  const variable = (name: string): string | undefined =>
    environment[`BAO_${name}`] || environment[`VAULT_${name}`] || undefined;
  const timeout = checkTimeout(options.timeout);
  const retries = options.retries ?? 3;
  if (!Number.isInteger(retries) || retries < 0 || retries > 10) {
    throw invalid("retries must be a whole number from 0 to 10");
  }
  const address = addressOf(options.address ?? variable("ADDR"));
  const namespace = namespaceOf(options.namespace ?? variable("NAMESPACE") ?? "");
  const servername = options.serverName ?? variable("TLS_SERVER_NAME");
  if (servername !== undefined && (typeof servername !== "string" || !/^[\w.-]+$/.test(servername))) {
    throw invalid("serverName must be a host's name");
  }
  if (options.ca !== undefined && options.caFile !== undefined)
    throw invalid("ca and caFile exclude each other");
  const tls = {
    ca:
      pem("ca", options.ca) ?? fileOf("caFile", options.caFile) ?? fileOf("VAULT_CACERT", variable("CACERT")),
    cert: pem("clientCert", options.clientCert) ?? fileOf("VAULT_CLIENT_CERT", variable("CLIENT_CERT")),
    key: pem("clientKey", options.clientKey) ?? fileOf("VAULT_CLIENT_KEY", variable("CLIENT_KEY")),
    servername,
  };
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw invalid("clientCert and clientKey go together: give both");
  }
  const { agent } = options;
  if (agent !== undefined && typeof agent?.destroy !== "function") {
    throw invalid("agent must be an http.Agent, or an https.Agent for https");
  }
  return { address, token: tokenOf(options, variable("TOKEN")), namespace, tls, timeout, retries, agent };
}

function addressOf(text: string | undefined): URL {
  if (text === undefined) throw invalid("address is missing: give it, or set VAULT_ADDR");
  const url = typeof text === "string" && /^https?:\/\//i.test(text) && URL.canParse(text) && new URL(text);
  if (!url) throw invalid("address must be a URL such as https://vault.example:8200");
  if (url.username !== "" || url.password !== "") throw invalid("address must be without user and password");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw invalid("address must end after the port: paths begin at /v1, which is added");
  }
  return url;
}

function namespaceOf(text: string): string {
  if (typeof text !== "string") throw invalid("namespace must be a string");
  const name = text.replace(/^\/+|\/+$/g, "");
  if (!/^[\x21-\x7e]*$/.test(name) || /\/\/|[?#]/.test(name)) {
    throw invalid("namespace must be printable ASCII without spaces, e.g. team/a");
  }
  return name === "root" ? "" : name;
}

function pem(option: string, text: string | Uint8Array | undefined): TextSource | undefined {
  if (text === undefined) return undefined;
  const bytes = text instanceof Uint8Array ? Buffer.from(text) : text;
  if (typeof text !== "string" && !(text instanceof Uint8Array)) throw invalid(`${option} must be PEM text`);
  if (!bytes.includes("-----BEGIN ")) {
    throw invalid(
      `${option} must be PEM text, with its -----BEGIN line${option === "ca" ? "; caFile takes a path" : ""}`,
    );
  }
  return { text: bytes };
}

function fileOf(option: string, file: string | undefined): TextSource | undefined {
  return file === undefined ? undefined : { file: checkFile(option, file), option };
}

function tokenOf({ token, tokenFile }: VaultServerOptions, variable: string | undefined): TokenFrom {
  if (token !== undefined && tokenFile !== undefined) throw invalid("token and tokenFile exclude each other");
  if (token === false) return { kind: "none" };
  if (typeof token === "function") return { kind: "callback", callback: token };
  if (tokenFile !== undefined) return { kind: "file", file: checkFile("tokenFile", tokenFile) };
  const given = token ?? variable;
  if (given === undefined) {
    throw invalid("token is missing: give token or tokenFile, or set VAULT_TOKEN (false sends none)");
  }
  const bytes = secretBytes("token", given);
  try {
    checkTokenText("token", bytes);
  } catch (error) {
    wipe(bytes);
    throw error;
  }
  return { kind: "fixed", token: bytes };
}

function checkFile(option: string, file: string): string {
  if (typeof file !== "string" || file === "" || file.includes("\0")) {
    throw invalid(`${option} must be a file's path`);
  }
  return file;
}
