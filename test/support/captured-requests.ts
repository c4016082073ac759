import { Readable } from "node:stream";
import type { S3Client } from "@aws-sdk/client-s3";
import type { HttpRequest } from "@smithy/types";
import aws4 from "aws4";
import { queryString } from "./random-request.js";

interface Answer {
  statusCode?: number;
  headers?: Record<string, string>;
  body?: string;
}

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

/** An SDK request handler that keeps what would be sent, and answers as it is told. */
export class CapturedRequests {
  readonly sent: HttpRequest[] = [];
  readonly #answers: Answer[];

  /** `answers` in order; the last one again and again. */
  constructor(...answers: Answer[]) {
    this.#answers = answers;
  }

  async handle(request: HttpRequest): Promise<{ response: object }> {
    this.sent.push(structuredClone({ ...request, body: bodyOf(request) }));
    const {
      statusCode = 200,
      headers = {},
      body = "",
    } = this.#answers[this.sent.length - 1] ?? this.#answers.at(-1) ?? {};
    return { response: { statusCode, headers, body: Readable.from([Buffer.from(body)]) } };
  }

  updateHttpClientConfig(): void {
    throw new Error("not used");
  }

  httpHandlerConfigs(): object {
    return {};
  }
}

function bodyOf({ body }: HttpRequest): string | Uint8Array | undefined {
  return typeof body === "string" || body instanceof Uint8Array ? body : undefined;
}

interface Secret {
  accessKeyId: string;
  secretAccessKey: string;
}

/** The `authorization` of a captured request, as aws4 computes it from the plain secret over the headers it names. */
export function judgedAuthorization(request: HttpRequest, secret: Secret): string {
  const [, scope = "", names = ""] =
    /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+)/.exec(request.headers.authorization ?? "") ?? [];
  const [, region, service] = scope.split("/");
  const lowerCase = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const signer = new aws4.RequestSigner(
    {
      service: service === "s3express" ? "s3" : (service as string),
      region: region as string,
      host: request.hostname,
      method: request.method,
      path: `${request.path}?${queryString(request.query)}`,
      headers: Object.fromEntries(names.split(";").map((name) => [name, lowerCase[name] ?? ""])),
      body: request.body === undefined ? "" : Buffer.from(request.body),
      doNotModifyHeaders: true,
      extraHeadersToInclude: { range: true },
    } as ConstructorParameters<typeof aws4.RequestSigner>[0],
    secret,
  );
  Object.assign(signer, { datetime: lowerCase["x-amz-date"], service });
  return signer.authHeader();
}

/** The signature of a presigned URL, as aws4 computes it from the plain secret. */
export function judgedUrlSignature(presigned: string, secret: Secret): string | null {
  const url = new URL(presigned);
  const [, , region, service] = (url.searchParams.get("X-Amz-Credential") ?? "").split("/");
  const parameters = url.search.slice(1).split("&");
  const unsigned = parameters.filter((parameter) => !parameter.startsWith("X-Amz-Signature="));
  const { path } = aws4.sign(
    {
      service: service as string,
      region: region as string,
      host: url.host,
      method: "GET",
      path: `${url.pathname}?${unsigned.join("&")}`,
      signQuery: true,
    },
    secret,
  );
  return new URL(path ?? "", url).searchParams.get("X-Amz-Signature");
}
