import type { HttpRequest, RequestPresigner, RequestPresigningArguments } from "@smithy/types";

const s3Family = new Set(["s3", "s3express", "s3-object-lambda", "s3-outposts"]);
const payloadHashHeader = "x-amz-content-sha256";

/**
 * Whether a service signs by Amazon S3's rules: the path encoded once and not normalised, the payload's hash in
 * x-amz-content-sha256, presigned URLs without a payload hash (S3 API reference, "Authenticating Requests").
 */
export function isS3Family(service: string): boolean {
  return s3Family.has(service);
}

/**
 * Presigns by Amazon S3's rule: the payload is not signed, unless the request has its hash in x-amz-content-sha256.
 * Smithy alone signs the hash of the body, or moves the header into the query.
 */
export async function presignS3(
  smithy: RequestPresigner,
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
