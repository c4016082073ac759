import { randomBytes } from "node:crypto";
import { TpmError } from "../../lib/core/errors.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

describeWith(["swtpm", "tpm2-tools"], "TPM", () => {
  const suite = tpmSuite();
  const failedTries = (): number =>
    Number(/TPM2_PT_LOCKOUT_COUNTER: (\S+)/.exec(suite.tool("tpm2_getcap", "properties-variable"))?.[1]);

  describe("a persistent key with a password", () => {
    beforeAll(async () => {
      const secretAccessKey = Buffer.from(secret);
      expect(await importTpmKey(secretAccessKey, { tcti: suite.tcti, handle, auth: { password } })).toEqual({
        handle,
        reference: `tpm:0x81008001?tcti=${encodeURIComponent(suite.tcti)}`,
      });
      expect(secretAccessKey.toString()).toBe(secret);
    });
    afterAll(() => suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001"));

    test.each<Partial<TpmKeyOptions>>([
      { auth: { password } },
      { auth: { password: Buffer.from(password), mode: "hmac" }, encryption: "session" },
      { auth: { password, mode: "plain" } },
      { auth: { password }, encryption: "none" },
      { auth: { password, mode: "plain" }, encryption: "none" },
    ])("gives the right MACs with %j", async (options) => {
      const key = await suite.open({ handle, ...options });
      for (const length of [0, 8, 1023, 1024, 1025, 2048, 5000]) {
        const message = randomBytes(length);
        expect(await macOf(key, message)).toBe(expected(message));
      }
    });

    test("calls at once are answered in order, by one session", async () => {
      const key = await suite.open({ handle, auth: { password } });
      const messages = Array.from({ length: 50 }, (_, n) => Buffer.from(`message ${n}`));
      expect(await Promise.all(messages.map((message) => macOf(key, message)))).toEqual(
        messages.map((message) => expected(message)),
      );
      expect(suite.tool("tpm2_getcap", "handles-loaded-session").trim().split("\n")).toHaveLength(1);
    });

    test("cannot be taken twice", async () => {
      await expect(importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle })).rejects.toMatchObject({
        code: "ERR_TPM_HANDLE_IN_USE",
      });
      expect(await macOf(await suite.open({ handle, auth: { password } }), day)).toBe(expected(day));
    });

    test("is what it should be, in the words of tpm2_readpublic", () => {
      const attributes = suite.tool("tpm2_readpublic", "-c", "0x81008001");
      expect(attributes).toContain("fixedtpm|fixedparent|userwithauth|sign\n");
      expect(attributes).toMatch(/value: hmac[\s\S]*value: sha256/);
    });

    test("a wrong password is sent once, and never again", async () => {
      const key = await suite.open({ handle, auth: { password: "wrong" } });
      const before = failedTries();
      for (let call = 0; call < 4; call++) {
        await expect(key.mac(day)).rejects.toMatchObject({
          name: "TpmError",
          code: "ERR_TPM_AUTH",
          rcName: "TPM_RC_AUTH_FAIL",
          rc: 0x98e,
          operation: "TPM2_HMAC",
          retryable: false,
        });
      }
      expect(failedTries()).toBe(before + 1);
    });

    test("a locked TPM says so", async () => {
      for (let guess = 0; guess < 3; guess++) {
        const key = await suite.open({ handle, auth: { password: `guess ${guess}`, mode: "plain" } });
        await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
        await key.close();
      }
      const key = await suite.open({ handle, auth: { password } });
      await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_LOCKOUT", rcName: "TPM_RC_LOCKOUT" });
      suite.tool("tpm2_dictionarylockout", "--clear-lockout");
      expect(await macOf(key, day)).toBe(expected(day));
    });

    test("no error holds the password", async () => {
      const key = await suite.open({ handle, auth: { password: "hunter2-hunter2" } });
      const error = await key.mac(day).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(TpmError);
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("hunter2");
    });
  });

  test("a key for another purpose is refused", async () => {
    suite.makePrimary();
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "primary.ctx", "0x81000123");
    await expect(suite.open({ handle: 0x81000123 })).rejects.toMatchObject({ code: "ERR_KEY_UNSUITABLE" });
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000123");
    await expect(suite.open({ handle: 0x81000123 })).rejects.toMatchObject({
      code: "ERR_KEY_NOT_FOUND",
      rcName: "TPM_RC_HANDLE",
    });
  });

  test("an owner hierarchy with a password is named as the reason", async () => {
    suite.tool("tpm2_changeauth", "-c", "o", "owned");
    await expect(
      importTpmKey(Buffer.from(secret), { tcti: suite.tcti, output: "pem" }),
    ).rejects.toMatchObject({
      code: "ERR_TPM_AUTH",
      message: expect.stringContaining("owner hierarchy"),
    });
    suite.tool("tpm2_changeauth", "-c", "o", "-p", "owned");
  });
});
