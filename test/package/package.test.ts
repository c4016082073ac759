import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import path from "node:path";
import { installPacked, pack } from "../support/packed.js";
import { temporaryFolder } from "../support/process.js";

describe("the package as npm packs it", () => {
  const { folder, remove } = temporaryFolder("package");
  let installed: string;

  const evaluate = (code: string, ...options: string[]): unknown =>
    JSON.parse(execFileSync(process.execPath, [...options, "-e", code], { cwd: folder, encoding: "utf8" }));

  beforeAll(async () => {
    installed = await installPacked((await pack(folder)).tarball, folder);
  }, 120_000);

  afterAll(remove);

  test("gives require and import the same classes", () => {
    const answer = evaluate(
      `import { createRequire } from "node:module";
       import * as imported from "aws-hmac";
       const required = createRequire(process.cwd() + "/")("aws-hmac");
       const names = Object.keys(required).sort();
       console.log(JSON.stringify({ names, differing: names.filter((name) => imported[name] !== required[name]) }));`,
      "--input-type=module",
    );
    expect(answer).toEqual({ names: expect.arrayContaining(["HmacSigner", "openTpmKey"]), differing: [] });
  });

  test("works without the addon, and says so where a device is asked for", () => {
    rmSync(path.join(installed, "prebuilds"), { recursive: true });
    const answer = evaluate(
      `const { insecureMemoryKey, openTpmKey } = require("aws-hmac");
       (async () => {
         const mac = await insecureMemoryKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY").mac(Buffer.from("20150830"));
         const refusal = await openTpmKey({ handle: 0x81008001 }).catch((error) => error);
         console.log(JSON.stringify({ mac: Buffer.from(mac).toString("hex"), code: refusal.code }));
       })();`,
    );
    expect(answer).toEqual({
      // kDate of AWS's published example of deriving a signing key
      mac: "0138c7a6cbd60aa727b2f653a522567439dfb9f3e72b21f9b25941a42f04a7cd",
      code: "ERR_ADDON_NOT_BUILT",
    });
  });

  test("loads only what the first signature needs: nothing of the SDK, of servers or of provisioning", () => {
    const answer = evaluate(
      `const { HmacSigner, insecureMemoryKey } = require("aws-hmac");
       const key = insecureMemoryKey("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
       const settings = { key, accessKeyId: "AKIAIOSFODNN7EXAMPLE", region: "eu-central-1", service: "s3" };
       const request = { method: "GET", hostname: "b.s3.amazonaws.com", path: "/k", headers: {} };
       (async () => {
         await new HmacSigner(settings).sign(request);
         await new HmacSigner(settings).presignUrl("https://b.s3.amazonaws.com/k");
         console.log(JSON.stringify({
           packages: Object.keys(require.cache)
             .map((file) => file.split("/node_modules/").at(-1))
             .filter((file) => !file.startsWith("aws-hmac/")),
           unneeded: Object.keys(require.cache).filter((file) =>
             /dist\\/(kms|cli|vault\\/(?!auth))|\\/sts-/.test(file)),
         }));
       })();`,
    );
    expect(answer).toEqual({ packages: [], unneeded: [] });
  });

  test("loads no KMS's package before it is used, and says which one is missing", () => {
    const answer = evaluate(
      `const path = require("node:path");
       require("aws-hmac");
       const { openKek } = require(path.resolve("node_modules/aws-hmac/dist/kms/kek.js"));
       const loaded = Object.keys(require.cache).filter((file) => /client-kms|google-cloud/.test(file));
       const refused = (uri) => openKek(uri)
         .then((kek) => kek.decrypt(Buffer.from("x"), Buffer.alloc(0)))
         .catch(({ code, message }) => [code, message]);
       (async () => console.log(JSON.stringify({
         loaded,
         aws: await refused("aws-kms://arn:aws:kms:eu-central-1:123456789012:key/1234abcd"),
         gcp: await refused("gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k"),
       })))();`,
    );
    const missing = (scheme: string, name: string): string[] => [
      "ERR_PEER_MISSING",
      `${scheme} needs the package ${name}, which is not installed: npm install ${name}`,
    ];
    expect(answer).toEqual({
      loaded: [],
      aws: missing("aws-kms://", "@aws-sdk/client-kms"),
      gcp: missing("gcp-kms://", "@google-cloud/kms"),
    });
  });
});
