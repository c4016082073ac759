import fc from "fast-check";
import type { HmacSignerOptions } from "../../lib/index.js";

/** Who signs, for what, and when. */
export interface Signing {
  secret: string;
  options: Omit<HmacSignerOptions, "key"> & { region: string };
  signingDate: Date;
}

const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"];
const keyText = (length: { minLength: number; maxLength: number }): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...letters), ...length });

/** Any text that has a UTF-8 form, often with characters that URLs and SigV4 encode in their own ways. */
export function text(minLength = 0): fc.Arbitrary<string> {
  const tricky = fc.constantFrom(..."/+ %&=?#~'()*!;:@$,.äß€日😀\\\"<>|^`{}[]", "%2F", "%7e", "..", "\u0301");
  const units = [
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }),
    tricky,
    fc.constantFrom(...letters),
  ];
  return fc.array(fc.oneof(...units), { minLength, maxLength: 12 }).map((parts) => parts.join(""));
}

/** Seconds, in the years that signatures and URLs of all libraries can be written for. */
export const date: fc.Arbitrary<Date> = fc
  .date({ min: new Date("1970-01-02T00:00:00Z"), max: new Date("9999-12-30T00:00:00Z"), noInvalidDate: true })
  .map((any) => new Date(Math.floor(any.getTime() / 1000) * 1000));

export const expiry: fc.Arbitrary<number> = fc.integer({ min: 1, max: 604_800 });

export function signing(
  services = ["s3", "execute-api", "sts", "dynamodb", "s3-outposts"],
): fc.Arbitrary<Signing> {
  return fc.record({
    secret: keyText({ minLength: 1, maxLength: 80 }),
    options: fc
      .record({
        accessKeyId: keyText({ minLength: 16, maxLength: 24 }).map((id) => id.replaceAll("/", "A")),
        sessionToken: fc.option(keyText({ minLength: 1, maxLength: 300 }), { nil: undefined }),
        region: fc.constantFrom("eu-central-1", "us-east-1", "cn-north-1", "us-gov-west-1", "auto"),
        service: fc.constantFrom(...services),
        keyCache: fc.constantFrom("day", "scope"),
      })
      .map(({ sessionToken, ...rest }) => (sessionToken === undefined ? rest : { ...rest, sessionToken })),
    signingDate: date,
  }) as fc.Arbitrary<Signing>;
}

/** A place, decoded. */
export interface Place {
  protocol: "https:" | "http:";
  hostname: string;
  port: number | undefined;
  segments: string[];
}

export const place: fc.Arbitrary<Place> = fc.record({
  protocol: fc.constantFrom("https:", "http:"),
  hostname: fc.constantFrom(
    "bucket.s3.eu-central-1.amazonaws.com",
    "localhost",
    "a.example",
    "10.0.0.7",
    "[::1]",
  ),
  port: fc.option(fc.constantFrom(1, 8080, 65535), { nil: undefined }),
  // The URL standard removes dot segments, however they are written.
  segments: fc.array(
    text().filter((segment) => !/^(\.|%2e){1,2}$/i.test(segment)),
    { maxLength: 4 },
  ),
});

/** Parameters with names of their own, in any order; numbers are names that JavaScript reorders. */
export const query: fc.Arbitrary<[string, string][]> = fc
  .uniqueArray(
    fc.tuple(
      fc.oneof(
        text(1),
        fc.constantFrom("response-content-type", "versionId", "acl", "X", "Z", "x-amz-meta", "10", "9"),
      ),
      text(),
    ),
    { maxLength: 4, selector: ([name]) => name },
  )
  .map((pairs) => pairs.filter(([name]) => name !== "__proto__"));
