import { escapeUri, isSettledPath, normalisedPath, wirePath } from "./uri.js";

/** A URL as its presigned form is put together: every part is percent-encoded. */
export interface UrlParts {
  /** As it is sent, up to where the signature's parameters begin. */
  readonly url: string;
  readonly host: string;
  readonly canonicalPath: string;
  /** The parameters that are signed before those of the signature, each with a `&`. */
  readonly before: string;
  /** Those that are signed after them, each with a `&` before it. */
  readonly after: string;
}

/** Unreserved characters: no encoding changes them. */
const plainText = /^[\w\-.~]*$/;
/** Names that stand among the signature's own, or that an object does not keep, or not in order. */
const oddName = /^(?:X-Amz-|[Xx]-[Aa][Mm][Zz]-[Ss]ignature|\d|__proto__$)/;

/** Takes URLs apart, those of one server after the other with least work. */
export class UrlReader {
  readonly #uriEscapePath: boolean;
  /** How the last URL that was parsed begins, as the parser writes it: up to the first slash of the path. */
  #start = "";
  #host = "";

  /** @param uriEscapePath whether paths are normalised and encoded once more */
  constructor(uriEscapePath: boolean) {
    this.#uriEscapePath = uriEscapePath;
  }

  /** The parts of a URL; undefined for one that is refused, or is better signed by the general path. */
  read(url: string | URL): UrlParts | undefined {
    if (typeof url !== "string") return url instanceof URL ? this.#partsOf(url) : undefined;
    return this.#readLike(url) ?? this.#parse(url);
  }

  /** The host of the URLs that `pathLike` takes. */
  get lastHost(): string {
    return this.#host;
  }

  /** The canonical path of a URL of the last server, with a path that the parser would leave as it is and without a query. */
  pathLike(url: string): string | undefined {
    if (this.#start === "" || !url.startsWith(this.#start)) return undefined;
    const path = url.slice(this.#start.length - 1);
    if (!isSettledPath(path) || path.includes("/.")) return undefined;
    return this.#uriEscapePath ? normalisedPath(path) : path;
  }

  #readLike(url: string): UrlParts | undefined {
    const canonicalPath = this.pathLike(url);
    if (canonicalPath === undefined) return undefined;
    return { url: `${url}?`, host: this.#host, canonicalPath, before: "", after: "" };
  }

  #parse(url: string): UrlParts | undefined {
    let parsed: URL;
    try {
      parsed = new URL(url);
    } catch {
      return undefined;
    }
    const parts = this.#partsOf(parsed);
    if (!parts) return undefined;
    this.#start = `${parsed.protocol}//${parts.host}/`;
    this.#host = parts.host;
    return parts;
  }

  #partsOf({ protocol, username, password, host, pathname, search }: URL): UrlParts | undefined {
    if (username || password || (protocol !== "https:" && protocol !== "http:")) return undefined;
    const query = search === "" ? noQuery : queryParts(search);
    if (!query) return undefined;
    const { wire, canonical } = this.#uriEscapePath
      ? { wire: pathname, canonical: normalisedPath(pathname) }
      : wirePath(pathname);
    const { before, after } = query;
    return {
      url: `${protocol}//${host}${wire}?${query.wire}`,
      host,
      canonicalPath: canonical,
      before,
      after,
    };
  }
}

const noQuery = { wire: "", before: "", after: "" };

/** The query as it is sent, with a `&` after each parameter, and sorted around the signature's parameters. */
function queryParts(search: string): { wire: string; before: string; after: string } | undefined {
  const parameters = new Map<string, string>();
  for (const parameter of search.slice(1).split("&")) {
    if (parameter === "") continue;
    const equals = parameter.indexOf("=");
    const name = recode(equals === -1 ? parameter : parameter.slice(0, equals));
    const value = equals === -1 ? "" : recode(parameter.slice(equals + 1));
    if (name === undefined || value === undefined || oddName.test(name) || parameters.has(name))
      return undefined;
    parameters.set(name, `${name}=${value}`);
  }
  let [wire, before, after] = ["", "", ""];
  for (const parameter of parameters.values()) wire += `${parameter}&`;
  for (const name of [...parameters.keys()].sort()) {
    if (name < "X-Amz-") before += `${parameters.get(name)}&`;
    else after += `&${parameters.get(name)}`;
  }
  return { wire, before, after };
}

/** A part of a URL's query encoded as it is signed; undefined where it is no UTF-8. */
function recode(text: string): string | undefined {
  if (plainText.test(text)) return text;
  try {
    return escapeUri(decodeURIComponent(text.replaceAll("+", " ")));
  } catch {
    return undefined;
  }
}
