import type { SignatureV4 } from "@smithy/signature-v4";
import type { HttpRequest, RequestPresigningArguments } from "@smithy/types";

const payloadHashHeader = "x-amz-content-sha256";

/** Presigns by the general rule: the payload is signed. */
export function presignGeneral(
  smithy: SignatureV4,
  request: HttpRequest,
  options: RequestPresigningArguments,
): Promise<HttpRequest> {
  return smithy.presign(request, options);
}

/**
 * Presigns by Amazon S3's rule: the payload is not signed, unless the request has its hash in x-amz-content-sha256.
 * Smithy alone signs the hash of the body, or moves the header into the query.
 */
export async function presignS3(
  smithy: SignatureV4,
  request: HttpRequest,
  options: RequestPresigningArguments,
): Promise<HttpRequest> {
  // S3 does not heed these in a query: they must be sent as headers.
  const encryption = Object.keys(request.headers).filter((name) =>
    name.startsWith("x-amz-server-side-encryption"),
  );
  const unhoistableHeaders = new Set([...encryption, ...(options.unhoistableHeaders ?? [])]);
  if (request.headers[payloadHashHeader] !== undefined) {
    return smithy.presign(request, { ...options, unhoistableHeaders });
  }
  const headers = { ...request.headers, [payloadHashHeader]: "UNSIGNED-PAYLOAD" };
  const presigned = await smithy.presign(
    { ...request, headers },
    {
      ...options,
      unhoistableHeaders: unhoistableHeaders.add(payloadHashHeader),
      unsignableHeaders: new Set(options.unsignableHeaders).add(payloadHashHeader),
    },
  );
  delete presigned.headers[payloadHashHeader];
  return presigned;
}
