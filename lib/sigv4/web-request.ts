import type { HttpRequest, RequestSigningArguments } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import type { SignableRequest } from "./canonical-input.js";
import { requestOfUrl } from "./presigned-url.js";

/** Signs requests: {@link HmacSigner} or {@link HmacSignerV4a}. */
export interface HttpSigner {
  /** The request with its signature in the headers. */
  sign(request: SignableRequest, options?: RequestSigningArguments): Promise<HttpRequest>;
}

/** What `fetch` sends. */
export interface WebTarget {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  /** A stream where the header x-amz-content-sha256 says what is signed in its place. */
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | undefined;
}

export const payloadHashHeader = "x-amz-content-sha256";
const dotSegment = /(?:^|[\\/])(?:\.|%2e){1,2}(?:[\\/]|$)/i;

/**
 * The `Request` to send in place of what `fetch` would be given: the same, signed. The body is read to be hashed, unless the
 * header x-amz-content-sha256 says what is signed in its place.
 *
 * @param input the arguments of `fetch`; a `Request` is used up, as by `fetch`
 * @throws SigningError `ERR_SIGN_INPUT`, also for a stream of which nothing says what is signed, and for dot segments in a
 * path, which `fetch` leaves out; and what the signer throws
 */
export async function signedRequest(
  signer: HttpSigner,
  input: Request | string | URL,
  init: RequestInit = {},
  options: RequestSigningArguments = {},
): Promise<Request> {
  const request = webRequest(input, init);
  const target = await webTarget(request, init);
  const headers = await signedHeaders(signer, target, options);
  const isRead = target.body !== undefined && !(target.body instanceof ReadableStream);
  return new Request(request, { headers, ...(isRead && { body: target.body }) });
}

/** @throws SigningError `ERR_SIGN_INPUT` for arguments that `fetch` refuses, or would send otherwise than they say */
export function webRequest(input: Request | string | URL, init: RequestInit): Request {
  const url = input instanceof Request ? input.url : String(input);
  if (!URL.canParse(url)) throw invalid("url must be an absolute URL"); // the parser's error holds it
  const [path = ""] = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#\\]*/i, "").split(/[?#]/);
  if (dotSegment.test(path)) {
    throw invalid(
      'the path has a segment "." or "..", which fetch leaves out: sign for a client that sends it, as node:http does',
    );
  }
  let request: Request;
  try {
    request = new Request(input, init);
  } catch (cause) {
    throw new SigningError("ERR_SIGN_INPUT", "fetch refuses these arguments: see the cause", { cause });
  }
  if (isStream(init.body) && !request.headers.has(payloadHashHeader)) {
    throw invalid(
      `body is a stream, which is not hashed: set the header ${payloadHashHeader} to what is signed in its place ` +
        "(on S3 UNSIGNED-PAYLOAD), or use signChunks",
    );
  }
  return request;
}

/**
 * Reads the body, unless it may be a stream and it is said what is signed in its place. What is read is sent with its length,
 * which S3 wants.
 *
 * @param init what `request` was made of, where that was not a Request
 */
export async function webTarget(request: Request, init: RequestInit): Promise<WebTarget> {
  const { url, method } = request;
  const headers = Object.fromEntries(request.headers);
  const isStated = headers[payloadHashHeader] !== undefined;
  const mayStream = init.body === undefined || init.body === null || isStream(init.body);
  const isKept = request.body === null || (isStated && mayStream);
  const body = isKept ? request.body : new Uint8Array(await request.arrayBuffer());
  return { url, method, headers, body: body ?? undefined };
}

/** The headers to send. `host` is among them only where it was given: fetch makes it of the URL. */
export async function signedHeaders(
  signer: HttpSigner,
  { url, method, headers, body }: WebTarget,
  options: RequestSigningArguments = {},
): Promise<Record<string, string>> {
  const request = requestOfUrl(url, method, headers);
  const signed = await signer.sign({ ...request, ...(body !== undefined && { body }) }, options);
  const { host = "", ...others } = signed.headers;
  return headers.host === undefined ? others : { ...others, host };
}

function isStream(body: unknown): boolean {
  if (typeof body !== "object" || body === null || body instanceof Blob) return false;
  return body instanceof ReadableStream || Symbol.asyncIterator in body;
}

function invalid(message: string): SigningError {
  return new SigningError("ERR_SIGN_INPUT", message);
}
