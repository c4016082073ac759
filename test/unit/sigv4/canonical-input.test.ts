import { Readable } from "node:stream";
import type { HttpRequest } from "@smithy/types";
import type { SignableRequest } from "../../../lib/index.js";
import { judge, openSigner, refusal, request, signingDate, wrong } from "../../support/signer.js";

describe("what is signed is what is sent", () => {
  async function sign(input: Partial<SignableRequest>, service = "sqs"): Promise<HttpRequest> {
    return openSigner({ service }).sign({ ...request, ...input }, { signingDate });
  }

  test("repeated headers are merged in order, in lower case", async () => {
    const signed = await sign({
      headers: { ...request.headers, "X-B": ["2", " 1 "], "x-b": "3", "X-A": "one  two" },
    });
    expect(signed.headers["x-b"]).toBe("2,1,3");
    expect(signed.headers).not.toHaveProperty("X-B");
    expect(signed.headers.authorization).toBe(
      await judge({ headers: { ...request.headers, "x-b": "2,1,3", "x-a": "one two" } }),
    );
  });

  test.each([
    [{ protocol: "https:", port: 443 }, ""],
    [{ protocol: "http:", port: 80 }, ""],
    [{ protocol: "http:", port: 443 }, ":443"],
    [{ protocol: "https:", port: 8443 }, ":8443"],
    [{ protocol: "https:" }, ""],
  ])("host is added for %j", async (place, port) => {
    const host = request.hostname + port;
    const signed = await sign({ ...place, headers: {} });
    expect(signed.headers.host).toBe(host);
    expect(signed.headers.authorization).toBe(await judge({ headers: { host } }));
  });

  test("a given host stays, and an absent header is no header", async () => {
    const signed = await sign({ headers: { Host: "gateway.example", "x-none": undefined } });
    expect(signed.headers).toMatchObject({ host: "gateway.example" });
    expect(signed.headers).not.toHaveProperty("x-none");
    expect(signed.headers.authorization).toBe(await judge({ headers: { host: "gateway.example" } }));
  });

  test("?acl is acl=", async () => {
    const signed = await sign({ query: { acl: null, many: ["b", "a"] } });
    expect(signed.query).toEqual({ acl: "", many: ["b", "a"] });
    expect(signed.headers.authorization).toBe(await judge({ query: { acl: "", many: ["b", "a"] } }));
  });

  test("the method is upper case, the path begins with a slash", async () => {
    const signed = await sign({ method: "post", path: "queue" });
    expect(signed).toMatchObject({ method: "POST", path: "/queue" });
    expect(signed.headers.authorization).toBe(await judge({ method: "POST", path: "/queue" }));
  });

  test.each([
    ["/a b/ä+(1)", "/a%20b/%C3%A4%2B%281%29", "/a%20b/%C3%A4%2B%281%29"],
    ["/a%20b/%c3%a4/100%", "/a%20b/%c3%a4/100%25", "/a%20b/%C3%A4/100%25"],
    ["/folder%2Ffile%7E", "/folder%2Ffile%7E", "/folder/file~"],
    ["//a/./../b//", "//a/./../b//", "//a/./../b//"],
    ["/😀", "/%F0%9F%98%80", "/%F0%9F%98%80"],
  ])("S3: the path %s is sent as %s and signed as %s", async (path, sent, canonical) => {
    const signed = await sign({ path }, "s3");
    expect(signed.path).toBe(sent);
    expect(signed.headers.authorization).toBe(await judge({ path: canonical }, "s3"));
  });

  test.each(["s3", "s3express", "s3-object-lambda", "s3-outposts"])(
    "%s: S3's rules by default",
    async (service) => {
      const signed = await sign({ path: "//a", body: "abc" }, service);
      expect(signed.headers["x-amz-content-sha256"]).toMatch(/^ba7816bf/);
      expect(signed.path).toBe("//a");
    },
  );

  test("the rules can be set", async () => {
    const changed = openSigner({ uriEscapePath: false, applyChecksum: true });
    const signed = await changed.sign({ ...request, path: "/a b" }, { signingDate });
    expect(signed.headers["x-amz-content-sha256"]).toMatch(/^e3b0c442/);
    expect(signed.path).toBe("/a%20b");
    expect((await sign({ body: "abc" })).headers).not.toHaveProperty("x-amz-content-sha256");
  });

  test("the caller's request stays as it was", async () => {
    const input = { ...request, headers: { "X-A": "1" }, query: { acl: null } };
    const before = structuredClone(input);
    await openSigner().sign(input, { signingDate });
    await openSigner().presign(input, { signingDate });
    expect(input).toEqual(before);
  });
});

describe("what cannot be signed faithfully is refused", () => {
  test.each<[string, Partial<SignableRequest>]>([
    ["a number as a header", { headers: wrong({ "content-length": 5 }) }],
    ["a number among headers", { headers: wrong({ a: ["b", 5] }) }],
    ["a number in the query", { query: wrong({ a: 5 }) }],
    ["an object in the query", { query: wrong({ a: {} }) }],
    ["__proto__ in the query", { query: JSON.parse('{"__proto__": "a"}') }],
    ["a query in the path", { path: "/?Action=x" }],
    ["a fragment in the path", { path: "/#x" }],
    ["a number as the path", { path: wrong(5) }],
    ["Headers", { headers: wrong(new Headers({ a: "b" })) }],
    ["a Map as headers", { headers: wrong(new Map([["a", "b"]])) }],
    ["URLSearchParams as the query", { query: wrong(new URLSearchParams("a=b")) }],
    ["a string as the query", { query: wrong("a=b") }],
    ["a header beyond ASCII", { headers: { ...request.headers, a: "é" } }],
    ["no host", { hostname: "", headers: {} }],
    ["no method", { method: wrong(undefined) }],
    ["a lone surrogate in the path", { path: "/\ud800" }],
    ["a lone surrogate in a header", { headers: { a: "\udc00" } }],
    ["a lone surrogate in a query name", { query: { "\ud800": "a" } }],
    ["a lone surrogate in a query value", { query: { a: "\ud800x" } }],
  ])("%s", async (_, change) => {
    for (const service of ["sqs", "s3"]) {
      const signer = openSigner({ service });
      await expect(signer.sign({ ...request, ...change })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
      await expect(signer.presign({ ...request, ...change })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
    }
  });

  test.each([new URLSearchParams("a=b"), { a: 1 }, Readable.from(["a"])])(
    "a body that cannot be hashed, unless a header says what is signed: %s",
    async (body) => {
      const headers = { ...request.headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
      for (const service of ["sqs", "s3"]) {
        const signer = openSigner({ service, applyChecksum: false });
        await expect(signer.sign({ ...request, body })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
        expect(
          (await signer.sign({ ...request, body, headers }, { signingDate })).headers.authorization,
        ).toBe(await judge({ headers }, service));
      }
      await expect(openSigner().presign({ ...request, body })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
      const sent = await openSigner({ service: "s3" }).sign({ ...request, body });
      expect(sent.headers["x-amz-content-sha256"]).toBe("UNSIGNED-PAYLOAD");
    },
  );

  test("text beyond ASCII in a header that presigning moves into the query is signed", async () => {
    const headers = { ...request.headers, "x-amz-meta-a": "é" };
    expect((await openSigner().presign({ ...request, headers })).query).toMatchObject({
      "x-amz-meta-a": "é",
    });
  });

  test.each([undefined, null, 5, {}, { payload: "text" }, { payload: new Uint8Array() }, { message: {} }])(
    "%j",
    async (input) => {
      await expect(openSigner().sign(wrong<string>(input), { signingDate })).rejects.toEqual(
        refusal("ERR_SIGN_INPUT"),
      );
    },
  );

  test("a string with a lone surrogate, an event without its predecessor", async () => {
    await expect(openSigner().sign("a\ud800b")).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
    const event = { headers: new Uint8Array(), payload: new Uint8Array() };
    await expect(openSigner().sign(event, wrong({}))).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
  });

  test.each([
    Number.NaN,
    Date.now(),
    "yesterday",
    new Date(Number.NaN),
    new Date("+010000-01-01T00:00:00Z"),
    -1e15,
  ])("the signing date %p", async (date) => {
    await expect(openSigner().sign(request, { signingDate: date })).rejects.toEqual(
      refusal("ERR_SIGN_INPUT"),
    );
    await expect(openSigner().presign(request, { signingDate: date })).rejects.toEqual(
      refusal("ERR_SIGN_INPUT"),
    );
  });

  test("signing dates in every form", async () => {
    const seconds = signingDate.getTime() / 1000;
    for (const form of [
      signingDate,
      seconds,
      String(seconds),
      "2026-11-23T12:00:00Z",
      "2026-11-23T13:00:00.5+01:00",
    ]) {
      const signed = await openSigner().sign(request, { signingDate: form });
      expect(signed.headers["x-amz-date"]).toBe("20261123T120000Z");
    }
    expect((await openSigner().sign(request, { signingDate: 0 })).headers["x-amz-date"]).toBe(
      "19700101T000000Z",
    );
  });

  test.each([0, -1, 1.5, Number.NaN, 604801, Number.POSITIVE_INFINITY, "60"])(
    "expiresIn %p",
    async (expiresIn) => {
      const options = { expiresIn: wrong<number>(expiresIn) };
      await expect(openSigner().presign(request, options)).rejects.toEqual(refusal("ERR_EXPIRES_IN"));
      await expect(openSigner().presignUrl("https://a.example/", options)).rejects.toEqual(
        refusal("ERR_EXPIRES_IN"),
      );
    },
  );
});
