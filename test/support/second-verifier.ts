import type { S3Client } from "@aws-sdk/client-s3";
import type { HttpRequest } from "@smithy/types";
import aws4 from "aws4";
import type { Credentials } from "./query-api.js";

/** Every request that `client` sends, as it goes out. */
export function capture(client: S3Client): HttpRequest[] {
  const requests: HttpRequest[] = [];
  client.middlewareStack.add(
    (next) => (args) => {
      requests.push(args.request as HttpRequest);
      return next(args);
    },
    { step: "deserialize", priority: "low" },
  );
  return requests;
}

/** The `authorization` that `aws4` gives a captured S3 request, for the time, headers and payload hash it went out with. */
export function authorizationByAws4(
  request: HttpRequest,
  credentials: Credentials & { sessionToken?: string },
  region: string,
): string {
  const { authorization, ...headers } = request.headers;
  const signed = /SignedHeaders=([^,]+)/.exec(authorization ?? "")?.[1]?.split(";") ?? [];
  const query = Object.entries(request.query ?? {})
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value ?? ""))}`)
    .join("&");
  const { headers: again } = aws4.sign(
    {
      ...{ method: request.method, path: query ? `${request.path}?${query}` : request.path },
      ...{ host: headers.host ?? "", service: "s3", region },
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => signed.includes(name))),
    },
    credentials,
  );
  return (again as Record<string, string>).Authorization ?? "";
}
