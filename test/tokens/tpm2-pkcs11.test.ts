import { importPkcs11Key } from "../../lib/index.js";
import { secretAccessKey } from "../support/backends.js";
import { describeWith } from "../support/requirements.js";
import { makeTpm2Pkcs11, type Tpm2Pkcs11 } from "../support/tpm2-pkcs11.js";
import { place, signing } from "./suite.js";

describeWith(["swtpm", "tpm2-tools", "tpm2-pkcs11", "opensc"], "tpm2-pkcs11", () => {
  let token: Tpm2Pkcs11;
  beforeAll(async () => {
    token = await makeTpm2Pkcs11();
    await token.put(Buffer.from(`AWS4${secretAccessKey}`), "signer");
  }, 60_000);
  afterAll(() => token?.stop());

  signing(() => token, 4096);

  test("takes no key by C_CreateObject", async () => {
    const options = { ...place(token), pin: token.pin, label: "never" };
    await expect(importPkcs11Key(Buffer.from(secretAccessKey), options)).rejects.toMatchObject({
      operation: "C_CreateObject",
    });
  });
});
