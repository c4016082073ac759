import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { AwsHmacError } from "../core/errors.js";
import { exchange } from "../core/exchange.js";
import type { HmacKey } from "../core/hmac-key.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import { signedHttpOptions } from "../sigv4/http-options.js";
import { HmacSigner } from "../sigv4/signer.js";
import type { IamEndpoint } from "./iam-endpoint.js";

/** IAM refused, failed or could not be reached. */
export class IamError extends AwsHmacError {
  /** IAM's own code, e.g. `NoSuchEntity`; empty where no answer came. */
  readonly iamCode: string;

  constructor(
    code: "ERR_IAM" | "ERR_IAM_DENIED",
    message: string,
    iamCode: string,
    retryable = false,
    cause?: unknown,
  ) {
    super(code, message, { retryable, cause });
    this.iamCode = iamCode;
  }
}

/** One of a user's access keys. */
export interface AccessKey {
  id: string;
  isActive: boolean;
  /** When it was made. */
  created: Date;
}

/** A new access key; the caller wipes the secret. */
export interface NewAccessKey {
  id: string;
  secret: Buffer;
}

const refusals = new Set([
  ...[
    "AccessDenied",
    "AccessDeniedException",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "MissingAuthenticationToken",
  ],
  ...["ExpiredToken", "OptInRequired", "IncompleteSignature", "UnrecognizedClientException", "AuthFailure"],
]);
const passing =
  /^(Throttl|RequestLimitExceeded|ServiceUnavailable|ServiceFailure|InternalFailure|InternalError|RequestTimeout)/;

/**
 * The calls of IAM's Query API about the access keys of the user who signs. The SDK's client would make a string of a new key's
 * secret; here it stays in bytes, which are wiped.
 */
export class Iam {
  readonly #endpoint: IamEndpoint;
  readonly #signer: HmacSigner;
  readonly #agent: HttpAgent;
  readonly #timeout: number;

  constructor(key: HmacKey, accessKeyId: string, endpoint: IamEndpoint, timeout = 30_000) {
    this.#endpoint = endpoint;
    this.#timeout = timeout;
    this.#signer = new HmacSigner({ key, accessKeyId, region: endpoint.region, service: "iam" });
    this.#agent = new (endpoint.url.protocol === "https:" ? HttpsAgent : HttpAgent)();
  }

  async list(): Promise<AccessKey[]> {
    return this.#call("ListAccessKeys", {}, (xml) =>
      [...xml.toString("latin1").matchAll(/<member>(.*?)<\/member>/gs)].map(([, member = ""]) => {
        const of = (name: string): string => element(Buffer.from(member), name).toString();
        return {
          id: of("AccessKeyId"),
          isActive: of("Status") === "Active",
          created: new Date(of("CreateDate")),
        };
      }),
    );
  }

  /** Not repeated where the answer was lost: there may be a key then. */
  async create(): Promise<NewAccessKey> {
    return this.#call("CreateAccessKey", {}, (xml) => ({
      id: element(xml, "AccessKeyId").toString(),
      secret: element(xml, "SecretAccessKey"),
    }));
  }

  /** When and where the key was used last, for people; undefined where it never was. */
  async lastUse(id: string): Promise<string | undefined> {
    return this.#call("GetAccessKeyLastUsed", { AccessKeyId: id }, (xml) => {
      if (!xml.includes("<LastUsedDate>")) return undefined;
      const [date, service, region] = ["LastUsedDate", "ServiceName", "Region"].map((name) =>
        element(xml, name).toString(),
      );
      return `${date} (${service}, ${region})`;
    });
  }

  async deactivate(id: string): Promise<void> {
    await this.#call("UpdateAccessKey", { AccessKeyId: id, Status: "Inactive" }, () => undefined);
  }

  async delete(id: string): Promise<void> {
    await this.#call("DeleteAccessKey", { AccessKeyId: id }, () => undefined);
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    await this.#signer.close();
  }

  async #call<T>(action: string, parameters: Record<string, string>, read: (xml: Buffer) => T): Promise<T> {
    const { url } = this.#endpoint;
    const body = Buffer.from(
      new URLSearchParams({ Action: action, Version: "2010-05-08", ...parameters }).toString(),
    );
    const options = {
      protocol: url.protocol,
      hostname: url.hostname,
      port: url.port || undefined,
      path: url.pathname,
    };
    const { headers } = await signedHttpOptions(
      this.#signer,
      {
        ...options,
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", "content-length": body.length },
      },
      { body },
    );
    const sent = { method: "POST", url, headers, body, agent: this.#agent, tls: {} };
    const answer = await exchange({ ...sent, signal: AbortSignal.timeout(this.#timeout) }).catch(
      (cause: unknown) => {
        const { code = "", name = "" } = cause as NodeJS.ErrnoException;
        const why =
          name === "TimeoutError" ? `no answer within ${this.#timeout} ms` : `not reached (${code || name})`;
        throw new IamError("ERR_IAM", `IAM ${action} at ${url.host}: ${why}`, "", true, cause);
      },
    );
    try {
      if (answer.status === 200) return read(answer.bytes);
      throw refused(action, answer.status, answer.bytes);
    } finally {
      wipe(answer.bytes);
    }
  }
}

function refused(action: string, status: number, xml: Buffer): IamError {
  const of = (name: string): string =>
    xml.includes(`<${name}>`) ? element(xml, name).toString("utf8", 0, 300) : "";
  const [iamCode, said] = [of("Code"), of("Message")];
  const retryable = status >= 500 || passing.test(iamCode);
  const code = refusals.has(iamCode) || (iamCode === "" && status === 403) ? "ERR_IAM_DENIED" : "ERR_IAM";
  return new IamError(
    code,
    `IAM ${action}: ${iamCode || `HTTP ${status}`}${said && `: ${said}`}`,
    iamCode,
    retryable,
  );
}

/** What is in an element of an answer, as bytes of their own. */
function element(xml: Buffer, name: string): Buffer {
  const from = xml.indexOf(`<${name}>`);
  const to = xml.indexOf(`</${name}>`, from);
  if (from < 0 || to < 0)
    throw new IamError("ERR_IAM", `IAM's answer has no ${name}: check the endpoint`, "");
  const text = xml.subarray(from + name.length + 2, to);
  const bytes = secretBuffer(text.length);
  text.copy(bytes);
  return bytes;
}
