import { isName } from "./checks.js";
import type { Scope } from "./key-cache.js";

/** Who signs, and for what. */
export interface SigningIdentity {
  readonly accessKeyId: string;
  readonly sessionToken: string | undefined;
  readonly service: string;
}

/** What the signatures of one second, region and service have in common. */
export interface SigningContext {
  /** Seconds since 1970. */
  readonly second: number;
  readonly region: string;
  readonly service: string;
  /** `yyyymmddThhmmssZ`. */
  readonly longDate: string;
  readonly scope: Scope;
  /** The access key id and the scope. */
  readonly credential: string;
  /** The string to sign but for the hash of the canonical request. */
  readonly head: string;
}

/** The context of the last signature, which is mostly that of the next one too. */
export class LastContext {
  readonly #identity: SigningIdentity;
  #last: SigningContext | undefined;

  constructor(identity: SigningIdentity) {
    this.#identity = identity;
  }

  /**
   * @param second in the years 0 to 9999
   * @returns undefined where the region is none
   */
  of(second: number, region: string, service = this.#identity.service): SigningContext | undefined {
    const last = this.#last;
    if (last?.second === second && last.region === region && last.service === service) return last;
    if (!isName(region) || region === "*") return undefined;
    const longDate = new Date(second * 1000).toISOString().replace(/[-:]|\.000/g, "");
    const date = longDate.slice(0, 8);
    const scope = `${date}/${region}/${service}/aws4_request`;
    this.#last = {
      ...{ second, region, service, longDate },
      scope: { date, region, service },
      credential: `${this.#identity.accessKeyId}/${scope}`,
      head: `AWS4-HMAC-SHA256\n${longDate}\n${scope}\n`,
    };
    return this.#last;
  }
}
