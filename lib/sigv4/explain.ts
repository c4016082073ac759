import { SignatureV4 } from "@smithy/signature-v4";
import type { HttpRequest, RequestPresigningArguments } from "@smithy/types";
import { presentedTexts, type SignatureTexts } from "./aws-error.js";
import { type Difference, differences } from "./differences.js";
import { isS3Family, presignS3 } from "./s3.js";
import { Sha256 } from "./sha256.js";

/** How the request would be signed, and what AWS said of it. */
export interface ExplainOptions extends RequestPresigningArguments {
  /**
   * What AWS answered, with `SignatureDoesNotMatch`: the body (XML or JSON), its message, or the error of an SDK client. The
   * request is then taken as of the date that AWS saw, unless `signingDate` is given.
   */
  awsError?: unknown;
}

/** What is signed. Session tokens are replaced by `<redacted>`: the hash in the string to sign is of the real ones. */
export interface Explanation extends SignatureTexts {
  /** `yyyymmdd/region/service/aws4_request`. */
  credentialScope: string;
  /** Names in lower case. */
  signedHeaders: string[];
  /** SHA-256 of the body in hex digits, or what is signed in its place. */
  payloadHash: string;
  /**
   * Where AWS saw something else, as far as it tells; empty where it saw the same: then the secret in the device does not belong to
   * the access key id. Undefined without `awsError`.
   */
  differences?: Difference[];
}

export interface ExplainSettings {
  accessKeyId: string;
  sessionToken: string | undefined;
  region: string;
  service: string;
  uriEscapePath: boolean;
  applyChecksum: boolean;
}

/**
 * Explains a request, or with `expiresIn` its presigned form. No key is asked: nothing is signed.
 *
 * @param request as `canonicalInput` gives it
 */
export async function explain(
  settings: ExplainSettings,
  request: HttpRequest,
  { awsError, ...options }: ExplainOptions & { signingDate: Date },
): Promise<Explanation> {
  const seen = awsError === undefined ? undefined : presentedTexts(awsError);
  const recorder = new Recorder(settings);
  if (options.expiresIn === undefined) await recorder.sign(request, options);
  else if (isS3Family(settings.service)) await presignS3(recorder, request, options);
  else await recorder.presign(request, options);
  const { canonicalRequest, stringToSign } = recorder;
  const lines = canonicalRequest.split("\n");
  const [, , credentialScope = ""] = stringToSign.split("\n");
  return {
    ...{ canonicalRequest: redacted(canonicalRequest), stringToSign, credentialScope },
    signedHeaders: (lines.at(-2) ?? "").split(";"),
    payloadHash: lines.at(-1) ?? "",
    ...(seen && {
      differences: differences({ canonicalRequest, stringToSign }, seen).map(hidden),
    }),
  };
}

/** The date of the string to sign that AWS saw, as `yyyymmddThhmmssZ`; undefined where it does not tell. */
export function presentedDate(awsError: unknown): Date | undefined {
  const [, y, mo, d, h, mi, s] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/m.exec(presentedTexts(awsError).stringToSign ?? "") ?? [];
  return y === undefined ? undefined : new Date(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`);
}

/** Smithy, which tells what it would sign, with a secret that is none. */
class Recorder extends SignatureV4 {
  canonicalRequest = "";
  stringToSign = "";

  constructor({ accessKeyId, sessionToken, ...settings }: ExplainSettings) {
    const credentials = { accessKeyId, secretAccessKey: "none", ...(sessionToken && { sessionToken }) };
    super({ ...settings, credentials, sha256: Sha256 });
  }

  protected override createCanonicalRequest(
    ...args: Parameters<SignatureV4["createCanonicalRequest"]>
  ): string {
    this.canonicalRequest = super.createCanonicalRequest(...args);
    return this.canonicalRequest;
  }

  protected override async createStringToSign(
    ...args: Parameters<SignatureV4["createStringToSign"]>
  ): Promise<string> {
    this.stringToSign = await super.createStringToSign(...args);
    return this.stringToSign;
  }
}

/** Without the session token, which stands in a header or in the query. */
function redacted(canonicalRequest: string): string {
  return canonicalRequest.replace(/(^x-amz-security-token:|X-Amz-Security-Token=)[^\n&]+/gm, "$1<redacted>");
}

function hidden({ signed, seen, ...difference }: Difference): Difference {
  const hide = (value: string | undefined): string | undefined => value && "<redacted>";
  if (!/security-token/i.test(difference.part)) return { ...difference, signed, seen };
  return { ...difference, signed: hide(signed), seen: hide(seen) };
}
