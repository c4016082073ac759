import type { HttpRequest, QueryParameterBag } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import type { SignableRequest } from "./canonical-input.js";
import { escapeUri } from "./uri.js";

/**
 * The request for a URL. `+` in the query is a space, as servers read it; the fragment is dropped.
 *
 * @throws SigningError `ERR_SIGN_INPUT`
 */
export function requestOfUrl(
  url: string | URL,
  method: string,
  headers: SignableRequest["headers"],
): SignableRequest {
  const { protocol, hostname, port, pathname, search, username, password } = parse(url);
  if (!/^https?:$/.test(protocol))
    throw new SigningError("ERR_SIGN_INPUT", "a URL must begin with https: or http:");
  if (username || password)
    throw new SigningError("ERR_SIGN_INPUT", "a URL must not hold a user name or password");
  return {
    method,
    protocol,
    hostname,
    ...(port === "" ? {} : { port: Number(port) }),
    path: pathname,
    query: parseQuery(search.slice(1)),
    headers,
  };
}

/** The URL of a request whose query is decoded and whose path is not. */
export function urlOfRequest({ protocol, hostname, port, path, query }: HttpRequest): string {
  const parameters = Object.entries(query ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? ""]).map((one) => `${escapeUri(name)}=${escapeUri(one)}`),
  );
  const host = port === undefined ? hostname : `${hostname}:${port}`;
  return `${protocol}//${host}${path}?${parameters.join("&")}`;
}

function parse(url: string | URL): URL {
  // Not `new URL`: its error holds the input.
  if (!URL.canParse(String(url))) throw new SigningError("ERR_SIGN_INPUT", "url must be an absolute URL");
  return new URL(url);
}

/**
 * The parameters of a percent-encoded query, without its `?`; `+` is a space.
 *
 * @throws SigningError `ERR_SIGN_INPUT` for what is no percent-encoded UTF-8
 */
export function parseQuery(search: string): QueryParameterBag {
  const query = new Map<string, string[]>();
  for (const parameter of search.split("&")) {
    if (parameter === "") continue;
    const [name = "", ...value] = parameter.split("=").map(decode);
    query.set(name, [...(query.get(name) ?? []), value.join("=")]);
  }
  return Object.fromEntries(query);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (cause) {
    throw new SigningError("ERR_SIGN_INPUT", "the URL's query is not percent-encoded UTF-8", { cause });
  }
}
