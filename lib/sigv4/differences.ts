import type { PresentedTexts, SignatureTexts } from "./aws-error.js";

/** One thing that AWS saw otherwise than it was signed. */
export interface Difference {
  /** E.g. `path`, `query acl`, `header content-type`, `payload hash`, `date`, `region`. */
  part: string;
  /** As it was signed here; undefined where it was not. */
  signed: string | undefined;
  /** As AWS saw it; undefined where it did not. */
  seen: string | undefined;
  /** What it mostly comes from. */
  hint: string;
}

type Parts = Map<string, string>;

const hints: [part: RegExp, hint: string][] = [
  [/^method$/, "the request was sent with another method"],
  [
    /^path$/,
    "the path was encoded or normalised on its way: send the path that sign() gives, and see uriEscapePath",
  ],
  [
    /^query /,
    "the query was changed on its way, or `+` stands for a space: send the query that sign() gives",
  ],
  [/^header host$/, "the request went to another host or port, or a proxy set the header"],
  [/^header x-amz-security-token$/, "the session token is not the one that was signed"],
  [
    /^header /,
    "the header was changed, added or left out on its way, by an HTTP client or a proxy: send what sign() gives",
  ],
  [/^signed headers$/, "other headers are named in the authorization"],
  [
    /^payload hash$/,
    "the body that arrived is not the one that was signed: another encoding, a new line, a body that was compressed",
  ],
  [/^date$/, "the signing date is another: sign and send with the same one"],
  [/^region$/, "the request went to another region than it was signed for"],
  [/^service$/, "the signing name of the service is another, e.g. s3 or execute-api"],
  [/^/, "the algorithm or the form of the scope is another"],
];

/** What differs between what is signed and what AWS saw, as far as it tells. */
export function differences(signed: SignatureTexts, seen: PresentedTexts): Difference[] {
  const found: Difference[] = [];
  if (seen.canonicalRequest !== undefined)
    found.push(...compare(requestParts(signed.canonicalRequest), requestParts(seen.canonicalRequest)));
  if (seen.stringToSign !== undefined) {
    const [ours, theirs] = [stringParts(signed.stringToSign), stringParts(seen.stringToSign)];
    // Where the canonical requests are there, they tell more than their hash.
    if (seen.canonicalRequest !== undefined)
      for (const parts of [ours, theirs]) parts.delete("canonical request's hash");
    found.push(...compare(ours, theirs));
  }
  return found;
}

function compare(ours: Parts, theirs: Parts): Difference[] {
  const parts = new Set([...ours.keys(), ...theirs.keys()]);
  return [...parts]
    .filter((part) => ours.get(part) !== theirs.get(part))
    .map((part) => {
      const [, hint = ""] = hints.find(([pattern]) => pattern.test(part)) ?? [];
      return { part, signed: ours.get(part), seen: theirs.get(part), hint };
    });
}

function requestParts(text: string): Parts {
  const [method = "", path = "", query = "", ...rest] = text.split("\n");
  const payload = rest.pop() ?? "";
  const names = rest.pop() ?? "";
  const parts: Parts = new Map([
    ["method", method],
    ["path", path],
  ]);
  const add = (part: string, value: string): void => {
    const earlier = parts.get(part);
    parts.set(part, earlier === undefined ? value : `${earlier}, ${value}`);
  };
  for (const parameter of query.split("&").filter(Boolean)) {
    const [name = "", ...value] = parameter.split("=");
    add(`query ${name}`, value.join("="));
  }
  for (const line of rest.filter(Boolean)) {
    const colon = line.indexOf(":");
    add(`header ${line.slice(0, colon)}`, line.slice(colon + 1));
  }
  return parts.set("signed headers", names).set("payload hash", payload);
}

function stringParts(text: string): Parts {
  const [algorithm = "", date = "", scope = "", hash = ""] = text.split("\n");
  const [day = "", region = "", service = ""] = scope.split("/");
  const parts: Parts = new Map([
    ["algorithm", algorithm],
    ["date", `${date} of ${day}`],
    ["region", region],
    ["service", service],
  ]);
  return parts.set("canonical request's hash", hash);
}
