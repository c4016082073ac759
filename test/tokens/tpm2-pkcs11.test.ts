import { randomBytes } from "node:crypto";
import { importPkcs11Key, openPkcs11Key, Pkcs11Error } from "../../lib/index.js";
import { secretAccessKey } from "../support/backends.js";
import { describeWith } from "../support/requirements.js";
import { makeTpm2Pkcs11, type Tpm2Pkcs11 } from "../support/tpm2-pkcs11.js";
import { hmac, macOf, place, signing } from "./suite.js";

describeWith(["swtpm", "tpm2-tools", "tpm2-pkcs11", "opensc"], "tpm2-pkcs11", () => {
  let token: Tpm2Pkcs11;
  beforeAll(async () => {
    token = await makeTpm2Pkcs11();
    await token.put(Buffer.from(`AWS4${secretAccessKey}`), "signer");
  }, 60_000);
  afterAll(() => token?.stop());

  signing(() => token, 4096);

  test("makes no MAC of more than 4096 bytes, says so, and signs on", async () => {
    const options = { ...place(token), pin: token.pin, label: "signer" };
    await using key = await openPkcs11Key(options);
    for (const length of [4097, 100_000]) {
      await expect(key.mac(randomBytes(length))).rejects.toMatchObject({
        name: "Pkcs11Error",
        code: "ERR_MESSAGE_LENGTH",
        operation: "C_Sign",
        retryable: false,
        message: expect.stringContaining(`${length} bytes`),
      });
      const message = randomBytes(8);
      expect(await macOf(key, message)).toBe(hmac(message));
    }
  });

  test("takes no key by C_CreateObject, and keeps nothing of it", async () => {
    const options = { ...place(token), pin: token.pin, label: "never" };
    const importing = importPkcs11Key(Buffer.from(secretAccessKey), options);
    await expect(importing).rejects.toBeInstanceOf(Pkcs11Error);
    await expect(openPkcs11Key(options)).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });
});
