import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { isoTime } from "../credential-json.js";
import { type Asked, failed, type Reply } from "./server.js";
import { replyOf, type Source } from "./source.js";

/** What an instance tells of itself. */
export interface Instance {
  region: string;
  /** The name of its role. */
  role: string;
}

const tokenPath = "/latest/api/token";
const [ttlHeader, tokenHeader] = ["x-aws-ec2-metadata-token-ttl-seconds", "x-aws-ec2-metadata-token"];
/** Six hours, in seconds. */
const longestTtl = 21_600;

/**
 * Answers as the instance metadata service of EC2, version 2 ("Use IMDS", Amazon EC2 user guide): what is needed for credentials
 * and the region. Requests without a token, as version 1 has them, are refused.
 */
export function imdsAnswers(
  instance: Instance,
  source: Source,
  now: () => number = Date.now,
): (asked: Asked) => Promise<Reply> {
  const tokens = new Tokens(now);
  return async ({ method, path, headers }) => {
    if (path === tokenPath) return method === "PUT" ? tokenReply(tokens, headers[ttlHeader]) : notAllowed();
    if (method !== "GET") return notAllowed();
    const token = headers[tokenHeader];
    if (typeof token !== "string" || !tokens.isGood(token)) {
      return failed(401, "Unauthorized", `PUT ${tokenPath} gives a token for the header ${tokenHeader}`);
    }
    return metadata(path, instance, source);
  };
}

function tokenReply(tokens: Tokens, ttl: string | string[] | undefined): Reply {
  const seconds = typeof ttl === "string" && /^\d{1,5}$/.test(ttl) ? Number(ttl) : 0;
  if (seconds < 1 || seconds > longestTtl) {
    return failed(400, "BadRequest", `${ttlHeader} must be from 1 to ${longestTtl}`);
  }
  return { status: 200, body: tokens.make(seconds), headers: { [ttlHeader]: String(seconds) } };
}

async function metadata(path: string, { region, role }: Instance, source: Source): Promise<Reply> {
  const zone = `${region}a`; // clients that want the region take the last letter off
  switch (path.replace(/\/$/, "")) {
    case "/latest/meta-data/iam/security-credentials":
      return { status: 200, body: role };
    case `/latest/meta-data/iam/security-credentials/${role}`: {
      const LastUpdated = isoTime(new Date());
      return replyOf(source, (credentials) => ({
        ...{ Code: "Success", LastUpdated, Type: "AWS-HMAC" },
        ...credentials,
      }));
    }
    case "/latest/meta-data/placement/region":
      return { status: 200, body: region };
    case "/latest/meta-data/placement/availability-zone":
      return { status: 200, body: zone };
    case "/latest/dynamic/instance-identity/document":
      return { status: 200, body: { version: "2017-09-30", region, availabilityZone: zone } };
    default:
      return failed(404, "NotFound", "there are credentials and the region only");
  }
}

function notAllowed(): Reply {
  return failed(405, "MethodNotAllowed", `GET only, and PUT ${tokenPath}`);
}

/** Tokens that say themselves when they end, under a key of this process: nothing is kept of them. */
class Tokens {
  readonly #key = randomBytes(32);
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  make(seconds: number): string {
    const text = Buffer.alloc(24);
    text.writeDoubleBE(this.#now() + seconds * 1000);
    randomBytes(16).copy(text, 8);
    return Buffer.concat([text, this.#seal(text)]).toString("base64url");
  }

  isGood(token: string): boolean {
    const bytes = Buffer.from(token, "base64url");
    if (bytes.length !== 56) return false;
    const text = bytes.subarray(0, 24);
    return timingSafeEqual(this.#seal(text), bytes.subarray(24)) && this.#now() < text.readDoubleBE();
  }

  #seal(text: Buffer): Buffer {
    return createHmac("sha256", this.#key).update(text).digest();
  }
}
