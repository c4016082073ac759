import type { IncomingMessage, OutgoingHttpHeaders, RequestOptions } from "node:http";
import type { RequestSigningArguments } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import type { SignableRequest } from "./canonical-input.js";
import { parseQuery } from "./presigned-url.js";
import type { HttpSigner } from "./web-request.js";

/** How {@link signedHttpOptions} signs. */
export interface HttpOptionsSigningArguments extends RequestSigningArguments {
  /** What will be written to the request, to be hashed. */
  body?: string | Uint8Array | undefined;
}

/**
 * The options for `http.request` or `https.request`, signed: with the method, path and headers to send. Give `protocol` for plain
 * HTTP. Dot segments and repeated slashes in the path are sent and signed as they are.
 *
 * @throws SigningError `ERR_SIGN_INPUT`, and what the signer throws
 */
export async function signedHttpOptions<Options extends RequestOptions>(
  signer: HttpSigner,
  options: Options,
  { body, ...signing }: HttpOptionsSigningArguments = {},
): Promise<
  Options & {
    /** In upper case. */
    method: string;
    /** With the query. */
    path: string;
    /** Names in lower case, `authorization` among them. */
    headers: Record<string, string>;
  }
> {
  const { method = "GET" } = options;
  const hostname = options.hostname ?? options.host ?? "localhost";
  const [pathname = "", ...search] = (options.path ?? "/").split("?");
  const query = search.join("?");
  // What node:http would send otherwise than it is parsed here, or refuse.
  if (/[^!-~]|#/.test(query)) throw invalid("the query in path must be percent-encoded ASCII");
  const port = options.port === undefined || options.port === null ? undefined : Number(options.port);
  const request: SignableRequest = {
    ...{ method, protocol: options.protocol ?? "https:", hostname, path: pathname },
    ...{ query: parseQuery(query), headers: headersOf(options.headers) },
    ...(port !== undefined && { port }),
    ...(body !== undefined && { body }),
  };
  const signed = await signer.sign(request, signing);
  const sent = query === "" ? signed.path : `${signed.path}?${query}`;
  return { ...options, method: signed.method, path: sent, headers: signed.headers };
}

/** Headers as node:http takes them: by name, or names and values by turns. */
function headersOf(
  headers: RequestOptions["headers"] | IncomingMessage["rawHeaders"] = {},
): SignableRequest["headers"] {
  const entries: [string, unknown][] = Array.isArray(headers)
    ? pairs(headers)
    : Object.entries(headers as OutgoingHttpHeaders);
  const all: Record<string, string[]> = {};
  for (const [name, value] of entries) {
    if (value === undefined) continue;
    const texts = (Array.isArray(value) ? value : [value]).map((one) =>
      typeof one === "number" ? String(one) : one,
    );
    const lowerCase = name.toLowerCase();
    all[lowerCase] = [...(all[lowerCase] ?? []), ...texts];
  }
  return all;
}

function pairs(list: readonly string[]): [string, string][] {
  if (list.length % 2 !== 0) throw invalid("headers must be names and values by turns");
  return Array.from({ length: list.length / 2 }, (_, index) => [
    list[2 * index] ?? "",
    list[2 * index + 1] ?? "",
  ]);
}

function invalid(message: string): SigningError {
  return new SigningError("ERR_SIGN_INPUT", message);
}
