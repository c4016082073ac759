import { invalid } from "../core/validate.js";
import type { TpmParent } from "./tpm/parent.js";
import type { TpmKeyOptions } from "./tpm.js";

/** A key's place, as its backend's `open…` call takes it. */
export type KeyReference =
  | { backend: "pkcs11"; place: { uri: string } }
  | { backend: "tpm"; place: Pick<TpmKeyOptions, "handle" | "pemFile" | "tcti" | "parent"> };

/** Backends of other versions. */
const others = ["tink", "vault", "aws-kms"];
const parameters = ["tcti", "parent"] as const;

/**
 * Reads a key's reference: `pkcs11:…` (RFC 7512); `tpm:0x81008001`, `tpm:/path.pem` and `handle:0x81008001`, each with
 * `?tcti=…` and `&parent=…`, percent-encoded; or the plain path of a TSS2 PEM.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`. No part of the reference that could be a secret is in its message
 */
export function parseKeyReference(reference: string): KeyReference {
  if (typeof reference !== "string" || reference === "" || reference.includes("\0")) {
    throw unusable("it must be a string such as pkcs11:token=aws;object=signer or tpm:0x81008001");
  }
  const [, scheme, rest = ""] = /^([a-z][a-z\d+.-]*):(.*)$/is.exec(reference) ?? [];
  switch (scheme?.toLowerCase()) {
    case undefined:
      if (/^(0x)?[\da-f]{8}$/i.test(reference)) throw unusable("a TPM's handle is written tpm:0x81008001");
      return { backend: "tpm", place: { pemFile: reference } };
    case "pkcs11":
      return { backend: "pkcs11", place: { uri: reference } };
    case "tpm":
      return { backend: "tpm", place: tpmPlace(rest, true) };
    case "handle":
      return { backend: "tpm", place: tpmPlace(rest, false) };
    default:
      if (others.includes(String(scheme))) throw unusable(`${scheme}: keys are not in this version`);
      throw unusable(
        `${scheme}: is no kind of key (pkcs11:, tpm: and handle: are); a path goes as ./${scheme}:…`,
      );
  }
}

/** The reference of a persistent TPM key; `tcti` where it is not the default. */
export function formatTpmReference(handle: number, tcti: string | undefined): string {
  const query = tcti === undefined ? "" : `?tcti=${encodeURIComponent(tcti)}`;
  return `tpm:0x${handle.toString(16)}${query}`;
}

function tpmPlace(
  text: string,
  mayBePath: boolean,
): Pick<TpmKeyOptions, "handle" | "pemFile" | "tcti" | "parent"> {
  const mark = text.indexOf("?");
  const name = mark < 0 ? text : text.slice(0, mark);
  const query = mark < 0 ? {} : tpmQuery(text.slice(mark + 1));
  if (/^0x[\da-f]{8}$/i.test(name)) return { handle: Number(name), ...query };
  if (mayBePath && /^\.{0,2}\//.test(name)) return { pemFile: decoded("the path", name), ...query };
  throw unusable(
    mayBePath
      ? "behind tpm: comes a handle (0x81008001) or a path with a slash"
      : "behind handle: comes 0x81008001",
  );
}

function tpmQuery(text: string): { tcti?: string; parent?: TpmParent } {
  const query = new Map<string, string>();
  for (const part of text.split("&")) {
    const [, name, value = ""] = /^([a-z]+)=(.+)$/is.exec(part) ?? [];
    const known = parameters.find((parameter) => parameter === name);
    if (known === undefined) {
      throw unusable(
        "behind the ? may be tcti=… and parent=…, with & between them; passwords go into options",
      );
    }
    if (query.has(known)) throw unusable(`${known} is there twice`);
    query.set(known, decoded(known, value));
  }
  const tcti = query.get("tcti");
  const parent = query.get("parent");
  return { ...(tcti !== undefined && { tcti }), ...(parent !== undefined && { parent: parentOf(parent) }) };
}

/** openTpmKey judges the name. */
function parentOf(text: string): TpmParent {
  return /^0x[\da-f]{8}$/i.test(text) ? Number(text) : (text as TpmParent);
}

function decoded(what: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unusable(`${what} is not percent-encoded UTF-8: "%" itself is %25`);
  }
}

function unusable(reason: string): ReturnType<typeof invalid> {
  return invalid(`the key's reference is not usable: ${reason}`);
}
