import { SigningError } from "../core/errors.js";
import {
  type HttpSigner,
  payloadHashHeader,
  signedHeaders,
  type WebTarget,
  webRequest,
  webTarget,
} from "./web-request.js";

/** What {@link createSignedFetch} takes. */
export interface SignedFetchOptions {
  /** It is not closed. */
  signer: HttpSigner;
  /** What sends the signed requests, given a URL and options; by default the global `fetch`. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
}

/** `fetch`, but signed. */
export type SignedFetch = (input: Request | string | URL, init?: RequestInit) => Promise<Response>;

const mostRedirects = 20;
const redirects = new Set([301, 302, 303, 307, 308]);
const bodyHeaders = [
  "content-encoding",
  "content-language",
  "content-location",
  "content-type",
  "content-length",
];

/**
 * A `fetch` that signs. A redirect to the same origin is followed with a signature of its own; none is ever sent to another.
 *
 * @returns what rejects with a SigningError: `ERR_SIGN_INPUT` for what cannot be signed faithfully, `ERR_REDIRECT` for a
 * redirect that is not followed; with what the signer throws; and as `fetch` does
 */
export function createSignedFetch({ signer, fetch }: SignedFetchOptions): SignedFetch {
  return async (input, init = {}) => {
    const send = fetch ?? globalThis.fetch;
    const request = webRequest(input, init);
    const isFollowed = request.redirect === "follow";
    let target = await webTarget(request, init);
    for (let count = 0; count <= mostRedirects; count++) {
      const { url, method, body } = target;
      const response = await send(url, {
        ...init,
        ...{ method, headers: await signedHeaders(signer, target), signal: request.signal },
        ...{ body: body ?? null, redirect: isFollowed ? "manual" : request.redirect },
        ...(body instanceof ReadableStream && { duplex: "half" as const }),
      });
      const location = response.headers.get("location");
      if (!isFollowed || !redirects.has(response.status) || location === null) return response;
      await response.body?.cancel();
      target = redirected(target, response.status, location);
    }
    throw new SigningError("ERR_REDIRECT", `the server redirects more than ${mostRedirects} times`);
  };
}

/** Where a redirect leads (Fetch standard, "HTTP-redirect fetch"). */
function redirected({ url, method, headers, body }: WebTarget, status: number, location: string): WebTarget {
  const { origin } = new URL(url);
  const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
  if (next?.origin !== origin) {
    throw new SigningError(
      "ERR_REDIRECT",
      `${origin} redirects to ${next?.origin ?? "what is no URL"}, where a signature for it is not sent: send the request there ` +
        "(S3: to the endpoint of the bucket's region)",
    );
  }
  const becomesGet = status === 303 ? !/^(?:GET|HEAD)$/.test(method) : status < 303 && method === "POST";
  if (becomesGet) {
    const kept = Object.entries(headers).filter(
      ([name]) => !bodyHeaders.includes(name) && name !== payloadHashHeader,
    );
    return { url: next.href, method: "GET", headers: Object.fromEntries(kept), body: undefined };
  }
  if (body instanceof ReadableStream)
    throw new SigningError("ERR_REDIRECT", `${origin} redirects, but the body was a stream and is used up`);
  return { url: next.href, method, headers, body };
}
