import { SigningError } from "../core/errors.js";

/** The two texts of a signature (AWS SigV4 guide, "canonical request" and "string to sign"). */
export interface SignatureTexts {
  /** The request as it is hashed. */
  canonicalRequest: string;
  /** What the signature is the HMAC of. */
  stringToSign: string;
}

/** What AWS computed for a request whose signature it refused, as far as its error tells. */
export type PresentedTexts = Partial<SignatureTexts>;

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/**
 * Finds both texts in an error `SignatureDoesNotMatch`: S3's XML elements (or the properties that the SDK makes of them), or the
 * sentences in the messages of the other services, in XML or JSON.
 *
 * @throws SigningError `ERR_SIGN_INPUT` where it holds neither
 */
export function presentedTexts(awsError: unknown): PresentedTexts {
  const texts = typeof awsError === "string" ? textsOfBody(awsError) : textsOfError(awsError);
  if (texts.canonicalRequest !== undefined || texts.stringToSign !== undefined) return texts;
  throw new SigningError(
    "ERR_SIGN_INPUT",
    "awsError holds neither AWS's canonical request nor its string to sign: give the whole answer of a request that was " +
      "refused with SignatureDoesNotMatch",
  );
}

function textsOfBody(body: string): PresentedTexts {
  const json = parsed(body);
  if (json !== undefined) return textsOfError(json);
  const element = (name: string): string | undefined => {
    const [, content] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(body) ?? [];
    return content === undefined ? undefined : decoded(content);
  };
  const ofS3 = present({
    canonicalRequest: element("CanonicalRequest"),
    stringToSign: element("StringToSign"),
  });
  return { ...textsOfMessage(/^\s*</.test(body) ? decoded(body) : body), ...ofS3 };
}

function textsOfError(error: unknown): PresentedTexts {
  if (typeof error !== "object" || error === null) return {};
  const { CanonicalRequest, StringToSign, message, Message } = error as Record<string, unknown>;
  const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
  return {
    ...textsOfMessage(text(message) ?? text(Message) ?? ""),
    ...present({ canonicalRequest: text(CanonicalRequest), stringToSign: text(StringToSign) }),
  };
}

function textsOfMessage(message: string): PresentedTexts {
  const after = (words: string): string | undefined =>
    new RegExp(`${words} should have been\\s+'([^']*)'`).exec(message.replaceAll("\r\n", "\n"))?.[1];
  return present({
    canonicalRequest: after("Canonical String for this request"),
    stringToSign: after("String-to-Sign"),
  });
}

function present({
  canonicalRequest,
  stringToSign,
}: { [Name in keyof SignatureTexts]: string | undefined }): PresentedTexts {
  return {
    ...(canonicalRequest !== undefined && { canonicalRequest }),
    ...(stringToSign !== undefined && { stringToSign }),
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function decoded(xml: string): string {
  return xml.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hexadecimal, name) => {
    if (name !== undefined) return entities[name] ?? whole;
    return String.fromCodePoint(Number.parseInt(decimal ?? hexadecimal, decimal === undefined ? 16 : 10));
  });
}
