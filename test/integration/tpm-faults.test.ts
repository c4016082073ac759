import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openTpmKey } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { startHungTpm } from "../support/hung-tpm.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM that is reset or hangs", () => {
  const suite = tpmSuite();

  test.each(["session", "none"] as const)(
    "a reset of the TPM is got over: encryption %s",
    async (encryption) => {
      const { pem } = await importTpmKey(Buffer.from(secret), {
        tcti: suite.tcti,
        output: "pem",
        auth: { password },
      });
      await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle });
      const keys = [
        await suite.open({ pem, encryption, auth: { password } }),
        await suite.open({ handle, encryption }),
      ];
      for (const key of keys) expect(await macOf(key, day)).toBe(expected(day));
      await suite.tpm.kill();
      for (const key of keys) {
        await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_CONNECTION", retryable: true });
      }
      await suite.tpm.start();
      for (const key of keys) expect(await macOf(key, day)).toBe(expected(day));
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
    },
  );

  test("a reset between two MACs goes unnoticed", async () => {
    const { pem } = await importTpmKey(Buffer.from(secret), {
      tcti: suite.tcti,
      output: "pem",
      auth: { password },
    });
    const key = await suite.open({ pem, auth: { password } });
    expect(await macOf(key, day)).toBe(expected(day));
    await suite.tpm.kill();
    await suite.tpm.start();
    expect(await macOf(key, day)).toBe(expected(day));
    expect(await macOf(key, Buffer.alloc(2000))).toBe(expected(Buffer.alloc(2000)));
  });

  test("a signal ends the wait for a TPM that hangs, and the key is good once it goes on", async () => {
    const { pem } = await importTpmKey(Buffer.from(secret), {
      ...{ tcti: suite.tcti, output: "pem", auth: { password } },
    });
    const key = await suite.open({ pem, auth: { password }, timeout: 60_000 });
    expect(await macOf(key, day)).toBe(expected(day));
    suite.tpm.suspend();
    try {
      const enough = new AbortController();
      const calls = Array.from({ length: 3 }, () => key.mac(day, { signal: enough.signal }));
      const later = new Promise((resolve) => setTimeout(resolve, 200, "still waiting"));
      expect(await Promise.race([...calls, later])).toBe("still waiting");
      const started = performance.now();
      enough.abort(new Error("enough"));
      for (const call of calls) await expect(call).rejects.toBe(enough.signal.reason);
      expect(performance.now() - started).toBeLessThan(1_000);
    } finally {
      suite.tpm.resume();
    }
    expect(await macOf(key, day)).toBe(expected(day));
  });
});

describe("a TPM that cannot be reached", () => {
  const { folder, remove } = temporaryFolder("no-tpm");
  afterAll(remove);
  const plain = path.join(folder, "plain");
  writeFileSync(plain, "not a device");
  chmodSync(plain, 0o600);

  test.each([
    ["device:/dev/no-such-tpm", "ERR_TPM_DEVICE_NOT_FOUND"],
    [`device:${plain}`, "ERR_TPM_NOT_A_DEVICE"],
    ["device:/dev/null", "ERR_TPM_CONNECTION"],
    ["no-such-tcti:port=1", "ERR_TPM_TCTI"],
    ["libc.so.6", "ERR_TPM_TCTI"],
    ["swtpm:port=none", "ERR_TPM_TCTI"],
    ["swtpm:host=127.0.0.1,port=1", "ERR_TPM_CONNECTION"],
  ])("%s: %s", async (tcti, code) => {
    const started = performance.now();
    await expect(openTpmKey({ tcti, handle })).rejects.toMatchObject({ name: "TpmError", code });
    await expect(importTpmKey(Buffer.from(secret), { tcti, output: "pem" })).rejects.toMatchObject({ code });
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(readFileSync(plain, "utf8")).toBe("not a device");
  });

  test("one that never answers is given up after the timeout", async () => {
    const hung = await startHungTpm();
    try {
      const started = performance.now();
      await expect(openTpmKey({ tcti: hung.tcti, handle, timeout: 300 })).rejects.toMatchObject({
        ...{ name: "TpmError", code: "ERR_TIMEOUT", rcName: "ETIMEDOUT", retryable: true },
      });
      expect(performance.now() - started).toBeLessThan(5_000);
    } finally {
      await hung.stop();
    }
  });
});
