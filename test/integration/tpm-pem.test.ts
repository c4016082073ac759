import { readFileSync, writeFileSync } from "node:fs";
import { parseTss2Pem } from "../../lib/keys/tpm/tss2-pem.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { startSwtpm } from "../support/swtpm.js";
import { day, expected, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { toolsKey } from "../support/tpm-tools-key.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM key file", () => {
  const suite = tpmSuite();

  test.each([undefined, password])("is written and read again: password %p", async (secretPassword) => {
    const auth = secretPassword === undefined ? {} : { auth: { password: secretPassword } };
    const { pem } = await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, output: "pem", ...auth });
    writeFileSync(suite.file("key.pem"), pem);
    for (const place of [{ pem }, { pemFile: suite.file("key.pem") }]) {
      const key = await suite.open({ ...place, ...auth });
      expect(await macOf(key, day)).toBe(expected(day));
      expect(await macOf(key, Buffer.alloc(3000))).toBe(expected(Buffer.alloc(3000)));
    }
  });

  // "AWS4" makes these keys of 64, 65 and 512 bytes; SHA-256's block has 64.
  test.each([60, 61, 508])("takes a secret of %d characters", async (length) => {
    const long = "k".repeat(length);
    const { pem } = await importTpmKey(Buffer.from(long), { tcti: suite.tcti, output: "pem" });
    expect(await macOf(await suite.open({ pem }), day)).toBe(expected(day, long));
  });

  test("of ours loads in tpm2-tools", async () => {
    const { pem } = await importTpmKey(Buffer.from(secret), {
      tcti: suite.tcti,
      output: "pem",
      auth: { password: "tools" },
    });
    const { publicArea, privateArea } = parseTss2Pem(pem);
    writeFileSync(suite.file("ours.pub"), publicArea);
    writeFileSync(suite.file("ours.priv"), privateArea);
    writeFileSync(suite.file("message"), day);
    suite.makePrimary();
    suite.toolAndFlush(
      "tpm2_load",
      "-C",
      "primary.ctx",
      "-u",
      "ours.pub",
      "-r",
      "ours.priv",
      "-c",
      "ours.ctx",
    );
    suite.toolAndFlush("tpm2_hmac", "-c", "ours.ctx", "-p", "tools", "-g", "sha256", "-o", "mac", "message");
    expect(readFileSync(suite.file("mac")).toString("hex")).toBe(expected(day));
  });

  test("of tpm2-tools loads here", async () => {
    suite.makePrimary();
    suite.toolAndFlush(
      "tpm2_create",
      "-C",
      "primary.ctx",
      "-G",
      "hmac",
      "-g",
      "sha256",
      "-p",
      "theirs",
      "-u",
      "k.pub",
      "-r",
      "k.priv",
    );
    const pemFile = toolsKey(suite).encode("primary.ctx", "-p");
    suite.toolAndFlush("tpm2_load", "-C", "primary.ctx", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx");
    writeFileSync(suite.file("message"), day);
    suite.toolAndFlush("tpm2_hmac", "-c", "k.ctx", "-p", "theirs", "-g", "sha256", "-o", "mac", "message");
    const key = await suite.open({ pemFile, auth: { password: "theirs" } });
    expect(await macOf(key, day)).toBe(readFileSync(suite.file("mac")).toString("hex"));
  });

  test("of another TPM is refused", async () => {
    const other = await startSwtpm();
    try {
      const { pem } = await importTpmKey(Buffer.from(secret), { tcti: other.tcti, output: "pem" });
      await expect(suite.open({ pem })).rejects.toMatchObject({
        code: "ERR_TPM_PARENT",
        operation: "TPM2_Load",
        rcName: "TPM_RC_INTEGRITY",
      });
    } finally {
      await other.stop();
    }
  });

  test("that is malformed or missing is refused", async () => {
    await expect(suite.open({ pem: "no PEM" })).rejects.toMatchObject({ code: "ERR_PEM_INVALID" });
    await expect(suite.open({ pemFile: suite.file("missing.pem") })).rejects.toMatchObject({
      code: "ERR_KEY_NOT_FOUND",
      message: expect.stringContaining("missing.pem"),
    });
  });
});
