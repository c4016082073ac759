// The published rules, case by case: what botocore signs, which is AWS's own and shares nothing with smithy.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { describeWith } from "../../support/requirements.js";
import { accessKeyId, openSigner, secret, signingDate } from "../../support/signer.js";

const python = path.join(__dirname, "..", "..", "..", "build", "python", "bin", "python");
const script = path.join(__dirname, "..", "..", "support", "botocore-signatures.py");
const region = "eu-central-1";

interface Case {
  name: string;
  form: "s3" | "general";
  method: string;
  /** Percent-encoded as it is sent. */
  path: string;
  query: Record<string, string | string[]>;
  headers: Record<string, string>;
  body?: string;
  expires?: number;
}

const uri = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
const characters = [
  ...Array.from({ length: 0x7f - 0x20 }, (_, index) => String.fromCharCode(0x20 + index)),
  ..."äß日😀\u00a0\u200b",
];

function casesOf(form: Case["form"]): Case[] {
  const base = { form, method: "GET", path: "/key", query: {}, headers: {} };
  const cases: Case[] = [];
  const add = (name: string, more: Partial<Case>): void => {
    cases.push({ ...base, name, ...more });
  };
  for (const one of characters) {
    // A slash in a key is a slash in the path: S3 decodes `%2F`, and botocore signs it as it comes.
    if (form === "general" || one !== "/") add(`${one} in the path`, { path: `/a${uri(one)}b/${uri(one)}` });
    add(`${one} in a parameter's value`, { query: { name: `a${one}b` } });
    add(`${one} in a parameter's name`, { query: { [`a${one}b`]: "value" } });
  }
  add("no path", { path: "/" });
  add("slashes", { path: form === "s3" ? "//a///b/" : "/a/b/" });
  add("dot segments", { path: form === "s3" ? "/a/../b/./c" : "/a/b" });
  add("a percent sign that is data", { path: "/100%2525" });
  add("an empty value", { query: { acl: "" } });
  add("repeated names, in any order", { query: { b: ["2", "1", ""], a: "x", A: "y", "a-": "z" } });
  add("upper and lower case names", { query: { Z: "1", a: "2", B: "3", b: "4" } });
  add("headers with spaces", {
    headers: { "x-amz-meta-a": "  a   b  ", "content-type": "text/plain; charset=utf-8" },
  });
  add("an empty header", { headers: { "x-amz-meta-a": "" } });
  add("a body", { method: "PUT", body: "content" });
  add("a body beyond ASCII", { method: "POST", body: "ä日😀" });
  for (const method of ["DELETE", "HEAD", "PATCH", "OPTIONS"]) add(method, { method });
  return cases;
}

const hosts = {
  s3: "bucket.s3.eu-central-1.amazonaws.com",
  general: "api.execute-api.eu-central-1.amazonaws.com",
};
const services = { s3: "s3", general: "execute-api" };

/** All in one process, which takes half a second to start. */
function botocore(cases: Case[], sessionToken: string | undefined): string[] {
  const input = JSON.stringify({
    ...{ accessKeyId, secretAccessKey: secret, region, sessionToken },
    date: signingDate.toISOString().replace(".000Z", "+00:00"),
    cases: cases.map(({ path: sent, query, form, ...rest }) => {
      const search = Object.entries(query)
        .flatMap(([name, value]) => [value].flat().map((one) => `${uri(name)}=${uri(one)}`))
        .join("&");
      return {
        ...rest,
        form,
        service: services[form],
        url: `https://${hosts[form]}${sent}${search && `?${search}`}`,
      };
    }),
  });
  return JSON.parse(execFileSync(python, [script], { input, encoding: "utf8" }));
}

describeWith(["moto"], "as botocore signs", () => {
  describe.each(["s3", "general"] as const)("%s", (form) => {
    describe.each([undefined, "a/session+token=="])("with session token %s", (sessionToken) => {
      const cases = casesOf(form);

      test("headers", async () => {
        const expected = botocore(cases, sessionToken);
        const signer = openSigner({ service: services[form], sessionToken });
        const signed: (string | undefined)[] = [];
        for (const { name: _, form: __, ...request } of cases) {
          const { headers } = await signer.sign(
            { protocol: "https:", hostname: hosts[form], ...request },
            { signingDate },
          );
          signed.push(/Signature=(\w+)/.exec(headers.authorization ?? "")?.[1]);
        }
        expect(named(cases, signed)).toEqual(named(cases, expected));
      });

      test("presigned", async () => {
        // botocore signs no other header than `host`, and keeps one of several parameters of a name.
        const presignable = cases.filter(
          ({ headers, body, query }) =>
            !body && Object.keys(headers).length === 0 && !Object.values(query).some(Array.isArray),
        );
        expect(presignable.length).toBeGreaterThan(300);
        const expected = botocore(
          presignable.map((one) => ({ ...one, expires: 900 })),
          sessionToken,
        );
        const signer = openSigner({ service: services[form], sessionToken });
        const signed: unknown[] = [];
        for (const { name: _, form: __, ...request } of presignable) {
          const { query } = await signer.presign(
            { protocol: "https:", hostname: hosts[form], ...request },
            { signingDate, expiresIn: 900 },
          );
          signed.push(query?.["X-Amz-Signature"]);
        }
        expect(named(presignable, signed)).toEqual(named(presignable, expected));
      });
    });
  });
});

const named = (cases: Case[], signatures: unknown[]): string[] =>
  cases.map(({ name }, index) => `${name}: ${signatures[index]}`);
