import path from "node:path";
import {
  expectRightUrl,
  follow,
  type Guide,
  withOwnBao,
  withOwnKms,
  withOwnSwtpm,
} from "../support/guide.js";
import { startKms } from "../support/kms.js";
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
    });
  });

  describeWith(["softhsm"], "PKCS#11", () => {
    test("as written, but for the folders", async () => {
      const output = await follow(section("With a PKCS#11 token"), (text) =>
        text.replaceAll("/tmp/my-hsm", path.join(folder, "hsm")),
      );
      expectRightUrl(output);
    });
  });

  describeWith(["openbao"], "Vault", () => {
    test("as written, but for the port and the log", async () => {
      const port = await freePorts(2); // the second one is the cluster's
      const output = await follow(section("With Vault or OpenBao"), (text) => withOwnBao(text, folder, port));
      expectRightUrl(output);
    });
  });

  describeWith(["moto"], "Tink", () => {
    test("as written, but for the key of the KMS", async () => {
      const { arn, env, stop } = await startKms();
      try {
        const output = await follow(section("With a KMS: a Tink keyset"), (text) =>
          withOwnKms(text, arn, env),
        );
        expectRightUrl(output);
      } finally {
        await stop();
      }
    });
  });

  test("memory", async () => {
    expectRightUrl(await follow(section("With no device"), () => "node memory-sign.mjs"));
  });
});
