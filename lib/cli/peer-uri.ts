import { invalid } from "../core/validate.js";

/**
 * A PKCS#11 URI of aws-pkcs-process-credential as RFC 7512 has it: without `slot`, the token's place in a list, which the
 * token's own attributes say better, and with a hexadecimal `id` as bytes.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` of a URI that names the token by `slot` alone
 */
export function peerPkcs11Uri(uri: string): string {
  const [, head = "", query = ""] = /^([^?]*)(.*)$/s.exec(uri) ?? [];
  const attributes = head.replace(/^pkcs11:/i, "").split(";");
  const named = attributes.filter((attribute) => !/^slot=\d*$/.test(attribute));
  if (named.length < attributes.length && !named.some((one) => /^(token|serial|slot-id)=/.test(one))) {
    throw invalid("--pkcs-uri names the token by its place in a list (slot): add token=… or serial=…");
  }
  return `pkcs11:${named.map(idAsBytes).join(";")}${query}`;
}

function idAsBytes(attribute: string): string {
  const [, text = ""] = /^id=((?:[^%]|%[\da-f]{2})*)$/i.exec(attribute) ?? [];
  const hex = text.replace(/%([\da-f]{2})/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
  return /^([\da-f]{2})+$/i.test(hex) ? `id=${hex.replace(/../g, "%$&")}` : attribute;
}
