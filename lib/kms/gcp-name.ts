/** A key of Google Cloud KMS, by its resource name. */
export interface GcpKeyName {
  /** `projects/…/cryptoKeys/…`: what Decrypt takes. */
  key: string;
  location: string;
  /** `projects/…/cryptoKeyVersions/…` where a version is named: what Encrypt takes then, instead of the primary version. */
  version: string | undefined;
}

const pattern =
  /^(projects\/[\d.:a-z-]{1,255}\/locations\/([\da-z-]{1,63})\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63})(?:\/cryptoKeyVersions\/[1-9]\d{0,9})?$/;

/** Reads the name of a key, or of one of its versions; undefined where it is none. */
export function parseGcpKeyName(text: string): GcpKeyName | undefined {
  const [name, key, location] = pattern.exec(text) ?? [];
  if (name === undefined || key === undefined || location === undefined) return undefined;
  return { key, location, version: name === key ? undefined : name };
}
