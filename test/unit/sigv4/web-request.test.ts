import http from "node:http";
import { text } from "node:stream/consumers";
import { createSignedFetch, signedHttpOptions, signedRequest } from "../../../lib/index.js";
import { judge, openSigner, refusal, signingDate, wrong } from "../../support/signer.js";

const hostname = "sqs.eu-central-1.amazonaws.com";
const url = `https://${hostname}/queue?b=2&a=1&a=0&empty`;
const query = { b: "2", a: ["1", "0"], empty: "" };
const options = { signingDate };

describe("signedRequest", () => {
  test.each<[string, Parameters<typeof signedRequest>[1], RequestInit, object]>([
    ["a URL as a string", url, {}, {}],
    ["a URL", new URL(url), { method: "delete" }, { method: "DELETE" }],
    [
      "a Request with a body",
      new Request(url, { method: "POST", body: "a=b", headers: { "Content-Type": "text/x" } }),
      {},
      { method: "POST", body: "a=b", headers: { host: hostname, "content-type": "text/x" } },
    ],
    [
      "URLSearchParams",
      url,
      { method: "POST", body: new URLSearchParams({ a: "b c" }) },
      {
        ...{ method: "POST", body: "a=b+c" },
        headers: { host: hostname, "content-type": "application/x-www-form-urlencoded;charset=UTF-8" },
      },
    ],
    [
      "headers as a list",
      url,
      {
        headers: [
          ["X-Amz-A", "  1 "],
          ["x-amz-a", "2"],
        ],
      },
      { headers: { host: hostname, "x-amz-a": "1, 2" } },
    ],
  ])("%s: what smithy signs", async (_, input, init, judged) => {
    const signed = await signedRequest(openSigner(), input, init, options);
    expect(signed.headers.get("authorization")).toBe(await judge({ path: "/queue", query, ...judged }));
    expect([signed.url, signed.method]).toEqual([url, (judged as { method?: string }).method ?? "GET"]);
    expect(signed.headers.has("host")).toBe(false);
    expect(await signed.text()).toBe((judged as { body?: string }).body ?? "");
  });

  test("an S3 body, by its hash and by what is said in its place", async () => {
    const signer = openSigner({ service: "s3" });
    const place = "https://b.s3.amazonaws.com/k";
    const hashed = await signedRequest(signer, place, { method: "PUT", body: "content" }, options);
    expect(hashed.headers.get("x-amz-content-sha256")).toBe(
      "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
    );
    const headers = { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
    const stream = new Blob(["content"]).stream();
    const unsigned = await signedRequest(
      signer,
      place,
      wrong({ method: "PUT", body: stream, duplex: "half", headers }),
      options,
    );
    expect(await unsigned.text()).toBe("content");
  });

  test("an AbortSignal stays", async () => {
    const abort = new AbortController();
    const signed = await signedRequest(openSigner(), url, { signal: abort.signal });
    abort.abort(new Error("enough"));
    expect(signed.signal.aborted).toBe(true);
  });

  test.each<[string, () => [unknown, object?]]>([
    ["a relative URL", () => ["/queue"]],
    ["dot segments", () => ["https://b.s3.amazonaws.com/a/../b"]],
    ["encoded dot segments", () => ["https://b.s3.amazonaws.com/a/%2e%2E/b"]],
    ["backslashes", () => ["https://b.s3.amazonaws.com\\..\\b"]],
    ["a password in the URL", () => ["https://a:b@host/"]],
    ["a forbidden method", () => [url, { method: "TRACE" }]],
    ["a body with GET", () => [url, { body: "a" }]],
    ["a header with a line break", () => [url, { headers: { "x-a": "b\nc" } }]],
    ["a header that is no ASCII", () => [url, { headers: { "x-a": "\u00e4" } }]],
    ["a header name that is none", () => [url, { headers: { "x a": "b" } }]],
    [
      "a stream that is not hashed",
      () => [url, { method: "POST", duplex: "half", body: new Blob(["a"]).stream() }],
    ],
    [
      "an async iterable that is not hashed",
      () => [
        url,
        {
          method: "POST",
          duplex: "half",
          body: (async function* () {
            yield Buffer.from("a");
          })(),
        },
      ],
    ],
  ])("%s is ERR_SIGN_INPUT", async (_, args) => {
    const [input, init] = args();
    await expect(signedRequest(openSigner(), wrong(input), wrong(init))).rejects.toEqual(
      refusal("ERR_SIGN_INPUT"),
    );
  });
});

describe("signedHttpOptions: what smithy signs", () => {
  test.each<[string, http.RequestOptions, string | undefined, Parameters<typeof judge>[0]]>([
    [
      "hostname and path",
      { hostname, path: "/queue?b=2&a=1" },
      undefined,
      { path: "/queue", query: { b: "2", a: "1" } },
    ],
    [
      "host, port and method",
      { host: hostname, port: "8443", path: "/a%20b/?x", method: "put" },
      "body",
      {
        method: "PUT",
        path: "/a%20b/",
        query: { x: "" },
        body: "body",
        headers: { host: `${hostname}:8443` },
      },
    ],
    [
      "headers of several values, and numbers",
      { hostname, headers: { "X-Amz-A": ["1", "2"], "Content-Length": 4 }, method: "POST" },
      "body",
      {
        ...{ method: "POST", path: "/", body: "body" },
        headers: { host: hostname, "x-amz-a": "1,2", "content-length": "4" },
      },
    ],
    [
      "a raw list of headers",
      { hostname, headers: ["X-Amz-A", "1", "x-amz-a", "2"] },
      undefined,
      { path: "/", headers: { host: hostname, "x-amz-a": "1,2" } },
    ],
  ])("%s", async (_, given, body, judged) => {
    const signed = await signedHttpOptions(openSigner(), given, {
      ...options,
      ...(body !== undefined && { body }),
    });
    expect(signed.headers.authorization).toBe(await judge(judged));
    expect([signed.path, signed.hostname]).toEqual([given.path ?? "/", given.hostname]);
  });

  test.each(["/a?b=c#d", "/a?b=\u00e4", "/a?b c", "/a?b=%zz"])(
    "the query of %s is sent as it is: ERR_SIGN_INPUT",
    async (sent) => {
      await expect(signedHttpOptions(openSigner(), { hostname, path: sent })).rejects.toEqual(
        refusal("ERR_SIGN_INPUT"),
      );
    },
  );

  test("an odd raw list is refused", async () => {
    await expect(signedHttpOptions(openSigner(), { hostname, headers: ["a"] })).rejects.toEqual(
      refusal("ERR_SIGN_INPUT"),
    );
  });
});

describe("createSignedFetch and redirects", () => {
  interface Seen {
    method: string | undefined;
    url: string | undefined;
    authorization: string | undefined;
    length: string | undefined;
    body: string;
  }
  let server: http.Server;
  let origin: string;
  let answers: [status: number, location?: string][];
  let seen: Seen[];
  beforeAll(async () => {
    server = http.createServer(async (request, response) => {
      const { method, url: path, headers } = request;
      seen.push({
        method,
        url: path,
        authorization: headers.authorization,
        length: headers["content-length"],
        body: await text(request),
      });
      const [status, location] = answers.shift() ?? [200];
      response.writeHead(status, location === undefined ? {} : { location }).end("done");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    seen = [];
  });
  const signedFetch = createSignedFetch({ signer: openSigner({ service: "s3" }) });

  test.each([
    [307, "PUT", "PUT", "content"],
    [308, "POST", "POST", "content"],
    [303, "PUT", "GET", ""],
    [302, "POST", "GET", ""],
    [301, "PUT", "PUT", "content"],
  ])("%i of a %s becomes a %s, signed for its own path", async (status, method, next, body) => {
    answers = [[status, "/elsewhere?a=b"]];
    const answer = await signedFetch(`${origin}/here`, { method, body: "content" });
    expect([answer.status, await answer.text()]).toEqual([200, "done"]);
    expect(seen.map(({ authorization: _, length: __, ...rest }) => rest)).toEqual([
      { method, url: "/here", body: "content" },
      { method: next, url: "/elsewhere?a=b", body },
    ]);
    const [first, second] = seen.map(({ authorization }) => authorization);
    expect(first).toMatch(/^AWS4-HMAC-SHA256 /);
    expect(second).toMatch(/^AWS4-HMAC-SHA256 /);
    expect(second).not.toBe(first);
  });

  // S3 takes no body of unknown length.
  test.each<[string, () => NonNullable<RequestInit["body"]>]>([
    ["text", () => "content"],
    ["bytes", () => Buffer.from("content")],
    ["a Blob", () => new Blob(["content"])],
  ])("%s that is not signed is sent with its length, and again after a redirect", async (_, body) => {
    answers = [[307, "/elsewhere"]];
    const headers = { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
    expect((await signedFetch(`${origin}/here`, { method: "PUT", headers, body: body() })).status).toBe(200);
    expect(seen.map(({ length, body: sent }) => [length, sent])).toEqual([
      ["7", "content"],
      ["7", "content"],
    ]);
  });

  test("no signature goes to another origin", async () => {
    answers = [[307, "http://localhost:1/elsewhere"]];
    await expect(signedFetch(`${origin}/here`)).rejects.toMatchObject({
      code: "ERR_REDIRECT",
      message: expect.stringContaining("http://localhost:1"),
    });
    expect(seen).toHaveLength(1);
  });

  test("redirects without end, to no URL, and of a stream", async () => {
    answers = Array.from({ length: 30 }, () => [307, "/again"]);
    await expect(signedFetch(`${origin}/here`)).rejects.toEqual(refusal("ERR_REDIRECT"));
    expect(seen).toHaveLength(21);
    answers = [[307, "http://"]];
    await expect(signedFetch(`${origin}/here`)).rejects.toEqual(refusal("ERR_REDIRECT"));
    answers = [[307, "/again"]];
    const body = new Blob(["content"]).stream();
    const headers = { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
    await expect(
      signedFetch(`${origin}/here`, wrong({ method: "PUT", body, duplex: "half", headers })),
    ).rejects.toEqual(refusal("ERR_REDIRECT"));
  });

  test("the caller's own wish for redirects counts", async () => {
    answers = [[307, "/elsewhere"]];
    expect((await signedFetch(`${origin}/here`, { redirect: "manual" })).status).toBe(307);
    answers = [[307, "/elsewhere"]];
    await expect(signedFetch(`${origin}/here`, { redirect: "error" })).rejects.toMatchObject({
      name: "TypeError",
    });
  });

  test("an AbortSignal ends it", async () => {
    const reason = new Error("enough");
    await expect(signedFetch(origin, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(seen).toEqual([]);
  });
});
