// The same request by fetch, node:http, axios and undici, at Ceph's gateway, signed by keys in devices.
import http from "node:http";
import { text } from "node:stream/consumers";
import { createSignedFetch, HmacSigner, signedHttpOptions } from "../../lib/index.js";
import { keyVariables, runExample } from "../support/example.js";
import { gatewaySuite, oddKeys, region } from "../support/gateway-suite.js";

gatewaySuite("asked by HTTP clients", (suite) => {
  let signer: HmacSigner;
  let bucketUrl: string;
  beforeAll(() => {
    bucketUrl = `${suite.gateway.endpoint}/${suite.bucket}`;
    signer = new HmacSigner({
      key: suite.key,
      accessKeyId: suite.gateway.accessKeyId,
      region,
      service: "s3",
    });
  });
  const encode = (key: string): string => key.split("/").map(encodeURIComponent).join("/");

  describe("fetch", () => {
    test.each(oddKeys.filter((key) => !key.includes("..")))("an object called %s", async (key) => {
      const signedFetch = createSignedFetch({ signer });
      const url = `${bucketUrl}/${encode(key)}`;
      const put = await signedFetch(url, {
        method: "PUT",
        body: `of ${key}`,
        headers: { "x-amz-meta-a": "b" },
      });
      expect(put.status).toBe(200);
      const got = await signedFetch(new Request(`${url}?response-content-type=text/x-odd+type`));
      expect([got.status, got.headers.get("x-amz-meta-a"), await got.text()]).toEqual([
        200,
        "b",
        `of ${key}`,
      ]);
      expect((await signedFetch(`${bucketUrl}?list-type=2&prefix=${encodeURIComponent(key)}`)).status).toBe(
        200,
      );
      expect((await signedFetch(new URL(url), { method: "DELETE" })).status).toBe(204);
    });

    test.each<[string, () => RequestInit]>([
      ["bytes", () => ({ body: Buffer.from("0123456789") })],
      ["an ArrayBuffer", () => ({ body: Uint8Array.from(Buffer.from("0123456789")).buffer })],
      ["a Blob", () => ({ body: new Blob(["01234", "56789"]) })],
      [
        "a stream that is not signed",
        () => ({
          body: new Blob(["0123456789"]).stream(),
          ...{
            duplex: "half",
            headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "content-length": "10" },
          },
        }),
      ],
    ])("a body of %s", async (_, init) => {
      const signedFetch = createSignedFetch({ signer });
      const put = await signedFetch(`${bucketUrl}/body`, { method: "PUT", ...init() });
      expect([put.status, await put.text()]).toEqual([200, ""]);
      expect(await (await signedFetch(`${bucketUrl}/body`)).text()).toBe("0123456789");
    });
  });

  test.each(oddKeys)("node:http, with options, and an object called %s", async (key) => {
    const { hostname, port } = new URL(suite.gateway.endpoint);
    const send = async (method: string, path: string, body = ""): Promise<[number | undefined, string]> => {
      const headers = ["X-Amz-Meta-A", "a  b", "x-amz-meta-a", "c", "Content-Length", String(body.length)];
      const options = await signedHttpOptions(
        signer,
        { protocol: "http:", hostname, port, method, path: `/${suite.bucket}/${path}`, headers },
        { body },
      );
      const answer = await new Promise<http.IncomingMessage>((resolve, reject) =>
        http.request(options, resolve).on("error", reject).end(body),
      );
      return [answer.statusCode, await text(answer)];
    };
    expect(await send("PUT", encode(key), "by node:http")).toEqual([200, ""]);
    expect(await send("GET", `${encode(key)}?response-content-type=text/plain`)).toEqual([
      200,
      "by node:http",
    ]);
    expect(await send("DELETE", encode(key))).toEqual([204, ""]);
  });

  test.each(["axios", "undici"])("examples/%s.mjs stores an object and reads it again", async (client) => {
    const env = {
      ...keyVariables(suite.child),
      ...{ AWS_ACCESS_KEY_ID: suite.gateway.accessKeyId, AWS_REGION: region, BUCKET_URL: bucketUrl },
    };
    expect(await runExample(`${client}.mjs`, { env })).toEqual({
      ...{ code: 0, stderr: "", stdout: expect.stringMatching(`by ${client}\n$`) },
    });
    const refused = await runExample(`${client}.mjs`, { env: { ...env, AWS_ACCESS_KEY_ID: "AKIAWRONG" } });
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("HTTP 403") });
  });
});
