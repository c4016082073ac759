import type { DateInput, QueryParameterBag } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import { checkRegion, signingDate } from "./checks.js";
import { type Clock, systemClock } from "./clock.js";
import { urlOfRequest } from "./presigned-url.js";
import { HmacSigner } from "./signer.js";
import type { HmacSignerOptions } from "./signer-options.js";

/** The options of {@link IamAuthTokens}: those of {@link HmacSigner} that matter here. */
export type IamAuthTokensOptions = Pick<
  HmacSignerOptions,
  "key" | "accessKeyId" | "sessionToken" | "region" | "keyCache"
>;

/** How long a token is good, and from when. */
export interface IamTokenTerms {
  /** Seconds, 1 to 900; 900 by default: how long the token opens a connection. A connection outlives its token. */
  expiresIn?: number | undefined;
  /** Now by default. A number is seconds since 1970. */
  signingDate?: DateInput | undefined;
}

/** The server and the user that a database's token is for. */
export interface RdsTokenTarget extends IamTokenTerms {
  /** The endpoint's host name, as the client connects to it: it is signed. */
  hostname: string;
  /** The endpoint's port: it is signed. */
  port: number;
  /** The database's user, who must be allowed to log in by IAM. */
  username: string;
}

/** The ElastiCache or MemoryDB cache and the user that a token is for. */
export interface CacheTokenTarget extends IamTokenTerms {
  /** The name of the replication group, cluster or serverless cache, in lower case; no host name. */
  name: string;
  /** The user's id. */
  user: string;
  /** Whether it is a serverless cache. */
  serverless?: boolean | undefined;
}

/** The Aurora DSQL cluster that a token is for. */
export interface DsqlTokenTarget extends IamTokenTerms {
  /** The cluster's endpoint. */
  hostname: string;
  /** For the role `admin` rather than one of the database's own. */
  admin?: boolean | undefined;
}

/** What an OAUTHBEARER callback of a Kafka client gives. */
export interface MskToken {
  /** The token, which the client sends. */
  token: string;
  /** When it is over. */
  expiration: Date;
}

interface Place {
  hostname: string;
  port?: number;
}

const longestExpiry = 900;

/**
 * IAM authentication tokens, which stand for a password: presigned requests that are never sent as such. One instance makes any
 * number of them for one access key and region; the device is asked once for each UTC day.
 *
 * Every call rejects with a SigningError: `ERR_SIGN_INPUT`, `ERR_EXPIRES_IN`, `ERR_REGION_MISSING`, `ERR_CLOSED`; or with the
 * key's error.
 *
 * @example
 * const tokens = new IamAuthTokens({ key, accessKeyId, region: "eu-central-1" });
 * const password = await tokens.rds({ hostname, port: 5432, username: "app" });
 */
export class IamAuthTokens implements AsyncDisposable {
  readonly #signer: HmacSigner;
  readonly #region: HmacSignerOptions["region"];
  readonly #clock: Clock;

  /**
   * @param clock for tests
   * @throws SigningError `ERR_INVALID_ARGUMENT`
   */
  constructor(
    { key, accessKeyId, sessionToken, region, keyCache }: IamAuthTokensOptions,
    clock: Clock = systemClock,
  ) {
    this.#signer = new HmacSigner(
      { key, accessKeyId, sessionToken, region, keyCache, service: "rds-db" },
      clock,
    );
    this.#region = region;
    this.#clock = clock;
  }

  /** The password of a database user that IAM authenticates, for RDS and Aurora (RDS user guide, "IAM database authentication"). */
  async rds({ hostname, port, username, ...terms }: RdsTokenTarget): Promise<string> {
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new SigningError("ERR_SIGN_INPUT", "port must be a whole number from 1 to 65535");
    const query = { Action: "connect", DBUser: checkedUser("username", username) };
    return this.#token("rds-db", { hostname: hostName("hostname", hostname), port }, query, terms);
  }

  /** The password of an ElastiCache user (ElastiCache user guide, "Authenticating with IAM"). */
  async elastiCache(target: CacheTokenTarget): Promise<string> {
    return this.#cacheToken("elasticache", target);
  }

  /** The password of a MemoryDB user (MemoryDB developer guide, "Authenticating with IAM"). */
  async memoryDb(target: Omit<CacheTokenTarget, "serverless">): Promise<string> {
    return this.#cacheToken("memorydb", target);
  }

  /** The password for an Aurora DSQL cluster (Aurora DSQL user guide, "Generating an authentication token"). */
  async dsql({ hostname, admin = false, ...terms }: DsqlTokenTarget): Promise<string> {
    const query = { Action: admin ? "DbConnectAdmin" : "DbConnect" };
    return this.#token("dsql", { hostname: hostName("hostname", hostname) }, query, terms);
  }

  /** The OAUTHBEARER token for Amazon MSK: base64url of the presigned URL (MSK developer guide, "IAM access control"). */
  async msk(terms: IamTokenTerms = {}): Promise<MskToken> {
    const region = checkRegion(typeof this.#region === "function" ? await this.#region() : this.#region);
    const date = signingDate(terms.signingDate ?? new Date(this.#clock.now()));
    const { expiresIn = longestExpiry } = terms;
    const query = { Action: "kafka-cluster:Connect" };
    const place = { hostname: `kafka.${region}.amazonaws.com` };
    const signed = await this.#token("kafka-cluster", place, query, { expiresIn, signingDate: date });
    // The broker logs it; it is no part of what is signed.
    const url = `https://${signed}&User-Agent=aws-hmac`;
    return {
      token: Buffer.from(url).toString("base64url"),
      // What is signed has no milliseconds.
      expiration: new Date(Math.floor(date.getTime() / 1000) * 1000 + expiresIn * 1000),
    };
  }

  /** Wipes the derived keys it holds and leaves the key open; later calls reject with `ERR_CLOSED`. Idempotent. */
  close(): Promise<void> {
    return this.#signer.close();
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #cacheToken(
    service: string,
    { name, user, serverless = false, ...terms }: CacheTokenTarget,
  ): Promise<string> {
    const query = {
      Action: "connect",
      User: checkedUser("user", user),
      ...(serverless ? { ResourceType: "ServerlessCache" } : {}),
    };
    return this.#token(service, { hostname: hostName("name", name) }, query, terms);
  }

  /** A presigned URL without its scheme. */
  async #token(
    service: string,
    { hostname, port }: Place,
    query: QueryParameterBag,
    terms: IamTokenTerms,
  ): Promise<string> {
    const { expiresIn = longestExpiry, signingDate: date } = terms;
    if (!Number.isInteger(expiresIn) || expiresIn < 1 || expiresIn > longestExpiry) {
      throw new SigningError(
        "ERR_EXPIRES_IN",
        `expiresIn must be a whole number of seconds from 1 to ${longestExpiry}: no service takes a longer-lived token`,
      );
    }
    const request = {
      method: "GET",
      hostname,
      path: "/",
      query,
      headers: {},
      ...(port === undefined ? {} : { port }),
    };
    const options = { expiresIn, signingDate: date ?? new Date(this.#clock.now()), signingService: service };
    return urlOfRequest(await this.#signer.presign(request, options)).slice("https://".length);
  }
}

function hostName(option: string, name: unknown): string {
  if (typeof name === "string" && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(name)) return name;
  throw new SigningError(
    "ERR_SIGN_INPUT",
    `${option} must be a name of letters, digits, "-" and ".", without scheme and port`,
  );
}

function checkedUser(option: string, user: unknown): string {
  if (typeof user === "string" && user !== "") return user;
  throw new SigningError("ERR_SIGN_INPUT", `${option} must be a string that is not empty`);
}
