import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import path from "node:path";
import { type Asked, failed, type Reply } from "./server.js";
import { replyOf, type Source } from "./source.js";

const credentialsPath = "/credentials";

/** A token that nobody can guess: 43 characters. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** What tells AWS tools and SDKs of the endpoint at `url`, and of its token or the file that it is in. */
export function containerVariables(
  url: string,
  { token, tokenFile }: { token: string; tokenFile?: undefined } | { token?: undefined; tokenFile: string },
): Record<string, string> {
  return {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: url + credentialsPath,
    ...(token !== undefined
      ? { AWS_CONTAINER_AUTHORIZATION_TOKEN: token }
      : { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: path.resolve(tokenFile) }),
  };
}

/**
 * Answers as the credentials endpoint of a container does ("Container credential provider", AWS SDKs and Tools reference): to
 * whoever has the token.
 */
export function containerAnswers(token: string, source: Source): (asked: Asked) => Promise<Reply> {
  const expected = digest(token);
  return async ({ method, path: asked, headers }) => {
    if (asked !== credentialsPath) return failed(404, "NotFound", `there is ${credentialsPath} only`);
    if (method !== "GET") return failed(405, "MethodNotAllowed", "GET only");
    // digests are equally long, and tell nothing by the place where they differ
    if (!timingSafeEqual(digest(headers.authorization ?? ""), expected)) {
      return failed(401, "Unauthorized", "the Authorization header is not AWS_CONTAINER_AUTHORIZATION_TOKEN");
    }
    return replyOf(source, (credentials) => credentials);
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
