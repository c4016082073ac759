import { decoded, readQuery, splitQuery, unusable } from "./text.js";

/** Where a key is in Vault or OpenBao, as `openVaultKey` takes it. */
export interface VaultPlace {
  address: string;
  mount: string;
  name: string;
  namespace?: string;
  keyVersion?: number;
}

const form = "vault:https://host:8200/<mount>/<name>?version=1&namespace=<namespace>, the last two as needed";

/** What is behind `vault:`. */
export function readVaultReference(text: string): VaultPlace {
  const [url, query] = splitQuery(text);
  const { version, namespace } = readQuery(query, ["version", "namespace"], `it must be ${form}`);
  const [, scheme = "", authority = "", path = ""] = /^(https?):\/\/([^/]*)\/(.*)$/is.exec(url) ?? [];
  if (/^[^/]*\/\/[^/]*@/.test(url)) {
    throw unusable("no user and password may be in the address: the token goes into options or VAULT_TOKEN");
  }
  const address = `${scheme}://${authority}`;
  const segments = path.split("/").map((segment) => decoded("the mount or the name", segment));
  const name = segments.pop();
  if (!isOrigin(address) || !name || segments.length === 0 || ![...segments, name].every(isSegment)) {
    throw unusable(`it must be ${form}`);
  }
  if (version !== undefined && !/^[1-9]\d{0,8}$/.test(version)) throw unusable("version must be 1, 2, …");
  return {
    ...{ address: new URL(address).origin, mount: segments.join("/"), name },
    ...(namespace !== undefined && { namespace: decoded("namespace", namespace) }),
    ...(version !== undefined && { keyVersion: Number(version) }),
  };
}

/** The reference of a key in Vault or OpenBao. */
export function formatVaultReference({ address, mount, name, namespace, keyVersion }: VaultPlace): string {
  const path = [...mount.split("/"), name].map(encodeURIComponent).join("/");
  const query = [
    ...(keyVersion === undefined ? [] : [`version=${keyVersion}`]),
    ...(namespace === undefined ? [] : [`namespace=${encodeURIComponent(namespace)}`]),
  ].join("&");
  return `vault:${address}/${path}${query && `?${query}`}`;
}

/** A scheme, a host and a port, and nothing that a URL's reader would silently mend. */
function isOrigin(address: string): boolean {
  return /^https?:\/\/[\w.[\]:-]+$/i.test(address) && URL.canParse(address);
}

function isSegment(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return text !== "" && text !== "." && text !== ".." && !/[/\\?#\x00-\x20\x7f]/.test(text);
}
