import { VaultError } from "../core/errors.js";
import { invalid } from "../core/validate.js";
import { fromBase64 } from "./base64.js";
import { answerFailure } from "./failure.js";

/** Which key of a Transit secrets engine. */
export interface TransitKey {
  /** The key's name in the engine. */
  name: string;
  /** Where the engine is mounted; `transit` by default. */
  mount?: string | undefined;
}

/** The same, checked; both are parts of a path of the API. */
export interface TransitPlace {
  readonly name: string;
  /** Percent-encoded. */
  readonly mount: string;
}

/**
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function checkTransitKey({ name, mount = "transit" }: TransitKey): TransitPlace {
  if (typeof name !== "string" || !/^\w(?:[\w.-]*\w)?$/.test(name)) {
    throw invalid("name must be the key's: letters, digits, _, and within it . and -");
  }
  if (typeof mount !== "string") throw invalid("mount must be a string");
  const parts = mount.replace(/^\/|\/$/g, "").split("/");
  if (
    parts.some((part) => part === "" || part === "." || part === ".." || /[^\x21-\x7e]|[?#\\%]/.test(part))
  ) {
    throw invalid(
      "mount must be the engine's path, e.g. transit or team/transit, in printable ASCII without spaces",
    );
  }
  return { name, mount: parts.map(encodeURIComponent).join("/") };
}

/**
 * The option `keyVersion`.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for anything but 1..2^31-1
 */
export function checkKeyVersion(version: number): number {
  if (!Number.isInteger(version) || version < 1 || version >= 2 ** 31) {
    throw invalid("keyVersion must be a whole number from 1; the import gives it");
  }
  return version;
}

/** The API's path for HMAC-SHA256 with a key: what a signer's policy must allow, and nothing else. */
export const hmacPath = ({ mount, name }: TransitPlace): string => `${mount}/hmac/${name}/sha2-256`;

/**
 * The MAC in one result of Transit: 32 bytes, which the caller wipes.
 *
 * @param result `{ hmac }`, with the text as bytes, or `{ error }`
 * @throws VaultError the result's own error; `ERR_VAULT_VERSION` where another version of the key made the MAC,
 *   `ERR_VAULT_RESPONSE` where it is none
 */
export function macOf(result: unknown, place: TransitPlace, version: number): Buffer {
  const { hmac, error } = (result ?? {}) as { hmac?: unknown; error?: unknown };
  const operation = `POST ${hmacPath(place)}`;
  if (typeof error === "string" && error !== "") throw answerFailure(operation, 400, error.slice(0, 500), "");
  const about = { status: 200, operation };
  const text = hmac instanceof Buffer ? hmac : Buffer.alloc(0);
  const end = text.indexOf(":", "vault:v".length) + 1;
  const head = text.toString("latin1", 0, end);
  if (/^vault:v\d+:$/.test(head) && head !== `vault:v${version}:`) {
    const message = `${operation}: the server answered with ${head.slice(6, -1)} of the key, not with keyVersion ${version}`;
    throw new VaultError("ERR_VAULT_VERSION", message, about);
  }
  const mac = head === `vault:v${version}:` ? fromBase64(text.subarray(end)) : undefined;
  if (mac?.length !== 32) {
    throw new VaultError("ERR_VAULT_RESPONSE", `${operation}: the answer has no MAC of 32 bytes`, about);
  }
  return mac;
}
