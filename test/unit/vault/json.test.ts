import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { fromBase64, toBase64 } from "../../../lib/vault/base64.js";
import { jsonBytes, parseJson } from "../../../lib/vault/json.js";

test("base64 is Node's", () => {
  for (let length = 0; length < 300; length++) {
    const bytes = randomBytes(length);
    const text = toBase64(bytes);
    expect(text.toString()).toBe(bytes.toString("base64"));
    expect(fromBase64(text)).toEqual(bytes);
  }
});

test.each(["AA", "A===", "AA=A", "AA-_", "AAA=AAAA", "====", "AAA\n", "=", "AAAA="])(
  "%j is no base64",
  (text) => {
    expect(fromBase64(Buffer.from(text))).toBeUndefined();
  },
);

test("any body is written as JSON.stringify does, and the texts of bytes are put in", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      fc.pre(!JSON.stringify(value).includes("null"));
      expect(jsonBytes(value as string).toString()).toBe(JSON.stringify(value));
    }),
  );
  const body = { list: [{ input: Buffer.from("AAAA") }, { input: new Uint8Array(0) }], version: 1 };
  expect(JSON.parse(jsonBytes(body).toString())).toEqual({
    list: [{ input: "AAAA" }, { input: "" }],
    version: 1,
  });
  expect(() => jsonBytes({ text: Buffer.from('a"') })).toThrow(TypeError);
  expect(() => jsonBytes({ text: Buffer.from("\\") })).toThrow(TypeError);
  expect(() => jsonBytes({ text: Buffer.from("é") })).toThrow(TypeError);
});

test("any answer is read as JSON.parse does, but for secrets", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      expect(parseJson(Buffer.from(text), ["hmac", "plaintext"])).toEqual(JSON.parse(text));
    }),
  );
});

test("secrets are given as bytes and are not left in the text", () => {
  const text = `{"a":{"hmac" : "vault:v1:AAAA","error":"hmac"},"batch_results":[{"hmac":"","n":1},{"hmac":"x\\"y"}, {"hmac":"z"}],"hmac":null,"b":"hmac"}`;
  const bytes = Buffer.from(text);
  const data = parseJson(bytes, ["hmac"]) as { a: { hmac: Buffer } };
  expect(data).toEqual({
    a: { hmac: Buffer.from("vault:v1:AAAA"), error: "hmac" },
    batch_results: [
      { hmac: Buffer.alloc(0), n: 1 },
      { hmac: Buffer.from('x\\"y') },
      { hmac: Buffer.from("z") },
    ],
    hmac: null,
    b: "hmac",
  });
  expect(bytes.toString()).not.toContain("AAAA");
  expect(data.a.hmac.buffer.byteLength).toBe(13);
});

test.each(['{"hmac":"AAAA"', '{"hmac":"AAAA"}}', '{"hmac":"AAAA', "<html>AAAA", "", '"AAAA\\'])(
  "%j is no JSON, and the error quotes nothing of it",
  (text) => {
    expect(() => parseJson(Buffer.from(text), ["hmac"])).toThrow(new SyntaxError("not JSON"));
  },
);
