import type { DateInput } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import { expiresIn as checkExpiresIn, checkWellFormed, defaultExpiry, signingDate } from "./checks.js";
import { requestOfUrl } from "./presigned-url.js";
import type { HmacSigner } from "./signer.js";

/** What a field of the form must be: this value, this value or its beginning, or a file of so many bytes. */
export type PostCondition =
  | Readonly<Record<string, string>>
  | readonly ["eq" | "starts-with", `$${string}`, string]
  | readonly ["content-length-range", number, number];

/** What {@link createPresignedPost} takes. */
export interface PresignedPostOptions {
  /** Of service `s3`. It is not closed. */
  signer: HmacSigner;
  /** The bucket's name. */
  bucket: string;
  /** The object's name; `${filename}` at its end stands for the name of the file that is sent. */
  key: string;
  /** Where the form is sent: the bucket's URL, e.g. `https://bucket.s3.eu-central-1.amazonaws.com/`. */
  url: string | URL;
  /** Further fields of the form, e.g. `acl` or `content-type`. The policy demands each as it is here. */
  fields?: Readonly<Record<string, string>> | undefined;
  /** Further conditions. */
  conditions?: readonly PostCondition[] | undefined;
  /** Seconds, 1 to 604800; 3600 by default. */
  expiresIn?: number | undefined;
  /** Now by default. A number is seconds since 1970. */
  signingDate?: DateInput | undefined;
}

/** A form that uploads one object. The field `file` is the last one that a browser sends. */
export interface PresignedPost {
  /** Where to send it: the `action` of an HTML form. */
  url: string;
  /** What it holds besides the file. */
  fields: Record<string, string>;
}

const filename = `\${filename}`;

/**
 * The URL and the fields of a form with which somebody without a key uploads an object to S3, on the conditions of a signed
 * policy (S3 API reference, "Browser-based uploads using POST (AWS Signature Version 4)").
 *
 * @throws SigningError `ERR_SIGN_INPUT`, `ERR_EXPIRES_IN`, and what the signer throws
 */
export async function createPresignedPost(options: PresignedPostOptions): Promise<PresignedPost> {
  const { signer, bucket, key, url, conditions = [], expiresIn = defaultExpiry } = options;
  for (const [name, value] of Object.entries({ ...options.fields, bucket, key })) checkText(name, value);
  for (const condition of conditions) checkCondition(condition);
  const date = signingDate(options.signingDate ?? new Date());
  const expiration = new Date(date.getTime() + checkExpiresIn(expiresIn) * 1000);
  const fields = {
    ...options.fields,
    bucket,
    ...(await signerFields(signer, url, date)),
  };
  const all = [
    ...conditions,
    ...Object.entries(fields).map(([name, value]) => ({ [name]: value })),
    key.endsWith(filename) ? ["starts-with", "$key", key.slice(0, -filename.length)] : { key },
  ];
  const each = [...new Set(all.map((condition) => JSON.stringify(condition)))].join(",");
  const policy = `{"expiration":"${expiration.toISOString().slice(0, 19)}Z","conditions":[${each}]}`;
  const Policy = Buffer.from(policy).toString("base64");
  const signature = await signer.sign(Policy, { signingDate: date });
  return { url: String(url), fields: { ...fields, key, Policy, "X-Amz-Signature": signature } };
}

/** The fields that say who signs, and when: those of a presigned request. */
async function signerFields(
  signer: HmacSigner,
  url: string | URL,
  date: Date,
): Promise<Record<string, string>> {
  const { query = {} } = await signer.presign(requestOfUrl(url, "POST", {}), { signingDate: date });
  if (!String(query["X-Amz-Credential"]).endsWith("/s3/aws4_request"))
    throw invalid("signer must be one for the service s3");
  const names = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Security-Token"];
  return Object.fromEntries(names.filter((name) => name in query).map((name) => [name, String(query[name])]));
}

function isList(
  condition: PostCondition,
): condition is Exclude<PostCondition, Readonly<Record<string, string>>> {
  return Array.isArray(condition);
}

function checkText(name: string, value: unknown): void {
  if (typeof value !== "string" || value === "") throw invalid(`${name} must be a string that is not empty`);
  checkWellFormed(name, value);
}

function checkCondition(condition: PostCondition): void {
  if (typeof condition !== "object" || condition === null)
    throw invalid("a condition must be an object or an array");
  if (!isList(condition)) {
    for (const [name, value] of Object.entries(condition)) checkText(`the condition for ${name}`, value);
    return;
  }
  const [kind, first, second] = condition;
  if (kind === "content-length-range") {
    if ([first, second].every(Number.isSafeInteger) && 0 <= first && first <= second) return;
    throw invalid("content-length-range must be followed by the least and the most bytes");
  }
  if ((kind !== "eq" && kind !== "starts-with") || !/^\$./.test(first) || typeof second !== "string") {
    throw invalid(
      'a condition must be ["eq" or "starts-with", "$field", value] or ["content-length-range", least, most]',
    );
  }
  checkWellFormed("a condition", first + second);
}

function invalid(message: string): SigningError {
  return new SigningError("ERR_SIGN_INPUT", message);
}
