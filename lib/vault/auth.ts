import { invalid, type Secret, secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { isTokenText, readSecretFile } from "./secret-file.js";
import type { VaultTokenCallback } from "./token.js";

/** A secret, or what gives it when a login needs it. */
export type VaultSecret = string | Uint8Array | (() => string | Uint8Array | Promise<string | Uint8Array>);

/** How a program logs in by AppRole. */
export interface VaultAppRoleOptions {
  /** The role's id. */
  roleId: string;
  /** The secret ID; not needed for a role with `bind_secret_id=false`. */
  secretId?: VaultSecret | undefined;
  /** A file with it. It is read for each login. */
  secretIdFile?: string | undefined;
  /** Where the method is mounted; `approle` by default. */
  mount?: string | undefined;
}

/** How a pod logs in with its service account. */
export interface VaultKubernetesOptions {
  /** The role of the auth method. */
  role: string;
  /** The service account's token; by default that of `jwtFile`. */
  jwt?: VaultSecret | undefined;
  /** The file with it, which Kubernetes renews: `/var/run/secrets/kubernetes.io/serviceaccount/token` by default. */
  jwtFile?: string | undefined;
  /** Where the method is mounted; `kubernetes` by default. */
  mount?: string | undefined;
}

/**
 * Logs in by AppRole (`POST auth/<mount>/login`), for the option `token`. The token is renewed while it can be, and another
 * login made before it ends. A secret ID that may be used once is enough as long as its token can be renewed.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`. A login that fails is an `ERR_VAULT_TOKEN` of the call that needs it
 * @example
 * const token = vaultAppRole({ roleId, secretIdFile: "/run/secrets/secret-id" });
 * const key = await openVaultKey({ address, token, name: "signer" });
 */
export function vaultAppRole(options: VaultAppRoleOptions): VaultTokenCallback {
  const { roleId, secretId, secretIdFile } = options;
  const path = loginPath(options.mount ?? "approle");
  requireText("roleId", roleId);
  if (secretId !== undefined && secretIdFile !== undefined) {
    throw invalid("secretId and secretIdFile exclude each other");
  }
  const source = secretSource("secretId", secretId, "secretIdFile", secretIdFile);
  return async ({ login }) => {
    if (!source) return login(path, { role_id: roleId });
    const secret = await source();
    try {
      return await login(path, { role_id: roleId, secret_id: secret });
    } finally {
      wipe(secret);
    }
  };
}

/**
 * Logs in with a Kubernetes service account (`POST auth/<mount>/login`), for the option `token`; otherwise as `vaultAppRole`.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @example
 * const key = await openVaultKey({ address, token: vaultKubernetes({ role: "signer" }), name: "signer" });
 */
export function vaultKubernetes(options: VaultKubernetesOptions): VaultTokenCallback {
  const { role, jwt } = options;
  const path = loginPath(options.mount ?? "kubernetes");
  requireText("role", role);
  if (jwt !== undefined && options.jwtFile !== undefined) throw invalid("jwt and jwtFile exclude each other");
  const jwtFile = options.jwtFile ?? "/var/run/secrets/kubernetes.io/serviceaccount/token";
  const source = secretSource("jwt", jwt, "jwtFile", jwt === undefined ? jwtFile : undefined);
  return async ({ login }) => {
    const token = await (source as () => Promise<Buffer>)();
    try {
      return await login(path, { role, jwt: token });
    } finally {
      wipe(token);
    }
  };
}

/** What gives the secret anew for each login, which wipes it. */
function secretSource(
  option: string,
  secret: VaultSecret | undefined,
  fileOption: string,
  file: string | undefined,
): (() => Promise<Buffer>) | undefined {
  if (file !== undefined) {
    requireText(fileOption, file);
    return () => readSecretFile(fileOption, file, "see that it is there, and that this user may read it");
  }
  if (secret === undefined) return undefined;
  const checked = (given: Secret): Buffer => {
    const bytes = secretBytes(option, given);
    if (isTokenText(bytes)) return bytes;
    wipe(bytes);
    throw invalid(`${option} must be printable ASCII without white space: check for a trailing newline`);
  };
  if (typeof secret === "function") return async () => checked(await secret());
  const held = checked(secret);
  return async () => secretBytes(option, held);
}

function loginPath(mount: string): string {
  const parts = typeof mount === "string" ? mount.replace(/^\/|\/$/g, "").split("/") : [];
  if (parts.length === 0 || !parts.every((part) => /^[\w.-]*\w[\w.-]*$/.test(part))) {
    throw invalid("mount must be the path of the auth method, without auth/, e.g. approle");
  }
  return `auth/${parts.join("/")}/login`;
}

function requireText(option: string, text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (typeof text !== "string" || text === "" || /[\x00-\x1f]/.test(text)) {
    throw invalid(`${option} must be a string that is not empty`);
  }
}
