const s3Family = new Set(["s3", "s3express", "s3-object-lambda", "s3-outposts"]);

/**
 * Whether a service signs by Amazon S3's rules: the path encoded once and not normalised, the payload's hash in
 * x-amz-content-sha256, presigned URLs without a payload hash (S3 API reference, "Authenticating Requests").
 */
export function isS3Family(service: string): boolean {
  return s3Family.has(service);
}
