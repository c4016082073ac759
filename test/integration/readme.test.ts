import path from "node:path";
import { expectRightUrl, follow, type Guide, withOwnSwtpm } from "../support/guide.js";
import { freePorts } from "../support/ports.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";

const section = (heading: string): Guide => ({ page: "README.md", heading: `### ${heading}` });

describe("who follows the README gets a right signature", () => {
  const { folder, remove } = temporaryFolder("readme");
  afterAll(remove);

  describeWith(["swtpm"], "TPM", () => {
    test("as written, but for the ports and folders", async () => {
      const port = await freePorts(2);
      const output = await follow(section("With a TPM 2.0"), (text) => withOwnSwtpm(text, folder, port));
      expectRightUrl(output);
    }, 30_000);
  });

  describeWith(["softhsm"], "PKCS#11", () => {
    test("as written, but for the folders", async () => {
      const output = await follow(section("With a PKCS#11 token"), (text) =>
        text.replaceAll("/tmp/my-hsm", path.join(folder, "hsm")),
      );
      expectRightUrl(output);
    }, 30_000);
  });

  test("memory", async () => {
    expectRightUrl(await follow(section("With no device"), () => "node memory-sign.mjs"));
  });
});
