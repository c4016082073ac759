/** Percent-encodes all but RFC 3986's unreserved characters: AWS's `UriEncode`. Throws URIError for a lone surrogate. */
export function escapeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
