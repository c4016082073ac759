import { importPkcs11Key, openPkcs11Key, Pkcs11Error } from "../../lib/index.js";
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

  test("takes no key by C_CreateObject, and keeps nothing of it", async () => {
    const options = { ...place(token), pin: token.pin, label: "never" };
    const importing = importPkcs11Key(Buffer.from(secretAccessKey), options);
    await expect(importing).rejects.toBeInstanceOf(Pkcs11Error);
    await expect(openPkcs11Key(options)).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });
});
