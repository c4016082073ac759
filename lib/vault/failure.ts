import { type ErrorCode, VaultError } from "../core/errors.js";
import { AnswerTooLong } from "../core/exchange.js";
import { type Call, operationOf } from "./call.js";

/** Node's codes of connections that were never made, so that nothing was sent. */
const neverSent = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
]);
/** Node's and OpenSSL's codes of TLS and of certificates. */
const ofTls =
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_|HOSTNAME_|EPROTO$)/;
const ofTrust = /^(SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|CERT_UNTRUSTED|INVALID_CA|CERT_SIGNATURE)/;

/** An error of the connection, and whether the request can have reached the server. */
export function connectionFailure(
  operation: string,
  origin: string,
  cause: unknown,
): { failure: VaultError; sent: boolean } {
  const code = String((cause as NodeJS.ErrnoException)?.code ?? "no code");
  const about = { status: 0, operation, cause };
  if (cause instanceof AnswerTooLong) {
    return {
      failure: new VaultError("ERR_VAULT_RESPONSE", `${operation}: ${cause.message}`, about),
      sent: true,
    };
  }
  if (ofTls.test(code)) {
    const message = `no TLS connection to ${origin} (${code}): ${tlsRemedy(code)}`;
    return { failure: new VaultError("ERR_VAULT_TLS", message, about), sent: false };
  }
  const sent = !neverSent.has(code);
  const what = sent ? "broke the connection off" : "cannot be reached";
  const message = `${origin} ${what} (${code}): see that the server runs, and that address is right`;
  return { failure: new VaultError("ERR_VAULT_CONNECTION", message, { ...about, retryable: true }), sent };
}

function tlsRemedy(code: string): string {
  if (code.endsWith("_ALTNAME_INVALID")) {
    return "address must be a name in the server's certificate; or give that name as serverName";
  }
  if (code === "CERT_HAS_EXPIRED") return "the server needs a new certificate";
  if (ofTrust.test(code)) return "give the authority's certificate as ca or caFile (VAULT_CACERT)";
  return "see that the server speaks TLS, and whether it wants clientCert and clientKey";
}

/** The error of an answer other than 2xx and 403. `said`: the server's own words. */
export function answerFailure(
  operation: string,
  status: number,
  said: string,
  namespace: string,
): VaultError {
  const [code, reason] = codeOf(status, said, namespace);
  const words = said === "" ? `status ${status}` : `${status}, ${said}`;
  const retryable = code === "ERR_VAULT_UNAVAILABLE" || code === "ERR_VAULT_SEALED";
  return new VaultError(code, `${operation}: ${reason} (the server: ${words})`, {
    status,
    operation,
    retryable,
  });
}

function codeOf(status: number, said: string, namespace: string): [ErrorCode, string] {
  if (/encryption key not found|could not delete key; not found/i.test(said))
    return ["ERR_KEY_NOT_FOUND", "no such key: check name and mount"];
  if (/cannot be used with an existing key/i.test(said)) {
    return ["ERR_KEY_EXISTS", "the key is there already: choose another name"];
  }
  if (/version does not exist|version is too (old|new)|version is disallowed/i.test(said)) {
    return [
      "ERR_VAULT_VERSION",
      "the key has no such version, or it may not be used any more: check keyVersion",
    ];
  }
  if (/HTTP request to an HTTPS server/i.test(said)) {
    return ["ERR_VAULT_TLS", "the server speaks TLS: address must begin with https://"];
  }
  if (/missing client token/i.test(said))
    return ["ERR_VAULT_TOKEN", "no token was sent: give token or tokenFile"];
  if (status === 503 && /sealed/i.test(said)) return ["ERR_VAULT_SEALED", "unseal the server"];
  if (status === 412 || status === 429 || status >= 500) {
    return ["ERR_VAULT_UNAVAILABLE", "the server could not answer now; look at its log"];
  }
  if (status === 404 && /no handler for route|namespace not found/i.test(said)) {
    const where = namespace === "" ? "" : `, in the namespace ${namespace}`;
    return ["ERR_VAULT_MOUNT", `no such secrets engine or namespace${where}: check mount and namespace`];
  }
  if (status === 404) return ["ERR_KEY_NOT_FOUND", "there is nothing: check name and mount"];
  if (status === 413 || /body too large|high complexity/i.test(said)) {
    return ["ERR_MESSAGE_LENGTH", "the message is longer than the server's max_request_size allows"];
  }
  return ["ERR_VAULT", "refused"];
}

/** The error of a 403. `known`: the server knows the token, so that its policy is what refuses. */
export function refusal(call: Pick<Call, "method" | "path">, known: boolean, said: string): VaultError {
  const operation = operationOf(call);
  const capability = { GET: "read", DELETE: "delete", POST: "update" }[call.method];
  const policy = `path "${call.path}" { capabilities = ["${capability}"] }`;
  const words = `(the server: 403, ${said || "no reason"})`;
  const reason = known
    ? `the token's policies do not allow it, they need ${policy}`
    : `the server does not accept the token: it has expired or was revoked, or is of another server or namespace; or its policies lack ${policy}, and do not let it ask about itself either`;
  const code = known ? "ERR_VAULT_DENIED" : "ERR_VAULT_TOKEN";
  return new VaultError(code, `${operation}: ${reason} ${words}`, { status: 403, operation });
}
