/** Percent-encodes all but RFC 3986's unreserved characters: AWS's `UriEncode`. Throws URIError for a lone surrogate. */
export function escapeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A path as it is sent and as Amazon S3 signs it. */
export interface WirePath {
  /** Percent-encoded where it was not; existing `%XX` are kept. */
  wire: string;
  /** The path that the server computes: everything decoded, then all but unreserved characters and "/" encoded. */
  canonical: string;
}

/** Whether neither encoding nor decoding changes a path: no unreserved character and no slash is written as `%XX`. */
export function isSettledPath(path: string): boolean {
  return /^(?:[\w\-.~/]|%(?!2[D-F]|3\d|[46][1-9A-F]|[57][\dA]|5F|7E)[\dA-F]{2})*$/.test(path);
}

/** Encodes a path for services that neither normalise it nor encode it twice (AWS SigV4 guide, "canonical URI", S3). */
export function wirePath(path: string): WirePath {
  if (isSettledPath(path)) return { wire: path, canonical: path };
  const wire = path.replace(/%(?![0-9a-f]{2})|[^\w\-.~/%]+/gi, escapeUri);
  const canonical = wire.replace(/%[0-9a-f]{2}/gi, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
    return /[\w\-.~/]/.test(character) ? character : triplet.toUpperCase();
  });
  return { wire, canonical };
}

/** The path that services other than S3 compute: without empty and dot segments, and encoded once more. */
export function normalisedPath(path: string): string {
  if (/^[\w\-.~/]*$/.test(path) && !/\/[./]/.test(path)) return path;
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  const end = segments.length > 0 && path.endsWith("/") ? "/" : "";
  return `/${segments.map(escapeUri).join("/")}${end}`;
}
