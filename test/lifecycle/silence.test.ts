import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { startHungTpm } from "../support/hung-tpm.js";
import { describeWith } from "../support/requirements.js";
import { handle, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { runChild } from "./run-child.js";

describeWith(["swtpm", "tpm2-tools"], "libtss2", () => {
  const suite = tpmSuite();

  test("writes nothing to stderr, whatever fails", async () => {
    const hung = await startHungTpm();
    const place = { tcti: suite.tcti, auth: { password } };
    const { pem } = await importTpmKey(Buffer.from(secret), { ...place, output: "pem" });
    await importTpmKey(Buffer.from(secret), { ...place, handle });
    const failures: [string, TpmKeyOptions][] = [
      ["signed", { ...place, pem }],
      ["ERR_TPM_AUTH", { ...place, handle, auth: { password: "wrong" } }],
      ["ERR_TPM_AUTH", { ...place, pem, parentAuth: { hierarchyPassword: "wrong" } }],
      ["ERR_TPM_PARENT", { ...place, pem, parent: "ek-ecc" }],
      ["ERR_KEY_NOT_FOUND", { ...place, handle: 0x81008099 }],
      [
        "ERR_TPM_SALT_KEY",
        { ...place, handle, saltKey: { handle: "owner", name: `000b${"00".repeat(32)}` } },
      ],
      ["ERR_TIMEOUT", { tcti: hung.tcti, handle, timeout: 200 }],
      ["ERR_TPM_CONNECTION", { tcti: "swtpm:host=127.0.0.1,port=1", handle }],
      ["ERR_TPM_CONNECTION", { tcti: "mssim:host=127.0.0.1,port=1", handle }],
      ["ERR_TPM_CONNECTION", { tcti: "device:/dev/null", handle }],
      ["ERR_TPM_DEVICE_NOT_FOUND", { tcti: "device:/dev/no-such-tpm", handle }],
      ["ERR_TPM_TCTI", { tcti: "no-such-tcti", handle }],
    ];
    const attempts = failures.map(([, options]) => options);
    const outcome = await runChild("fail in many ways", { attempts });
    const stdout = failures.map(([code]) => `${code}\n`).join("");
    expect(outcome).toEqual({ code: 0, signal: null, stdout, stderr: "" });
    await hung.stop();
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
  }, 60_000);
});
