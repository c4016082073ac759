import { randomBytes } from "node:crypto";
import { importPkcs11Key } from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { makeNss, type Nss } from "../support/nss.js";
import { describeWith } from "../support/requirements.js";
import { expectSigns, place, tokenSuite } from "./suite.js";

describeWith(["nss", "opensc"], "NSS softokn", () => {
  let nss: Nss;
  const start = async (): Promise<Nss> => {
    nss = await makeNss();
    return nss;
  };
  tokenSuite(start, () => {
    test("NSS's own tool lists the imported key", async () => {
      expect(await nss.keys()).toMatch(/\bsigner\b/);
    });

    test("wraps a key that is not extractable: none is kept unless that is allowed", async () => {
      const options = { ...place(nss), pin: nss.pin, label: "wraps out" };
      for (const wrapped of [undefined, "rsa-oaep"] as const) {
        await expect(importPkcs11Key(Buffer.from(secret), { ...options, wrapped })).rejects.toMatchObject({
          code: "ERR_KEY_WRAPPABLE",
          message: expect.stringContaining("allowWrapping"),
        });
        expect(await nss.keys()).not.toContain("wraps out");
      }
      const allowed = await importPkcs11Key(Buffer.from(secret), { ...options, allowWrapping: true });
      expect(allowed).toMatchObject({ extractable: false, wrappable: true, leftOut: [] });
      expect(await nss.keys()).toContain("wraps out");
    });

    test("takes a key encrypted for a pair that it makes for that", async () => {
      const options = { ...place(nss), pin: nss.pin, label: "encrypted", allowWrapping: true };
      await importPkcs11Key(Buffer.from(secret), { ...options, wrapped: "rsa-oaep" });
      await expectSigns(options);
    });

    // It knows CKM_AES_KEY_WRAP_KWP, which SoftHSM lacks.
    test.each([16, 24, 32])("takes a key encrypted for its AES key of %i bytes", async (size) => {
      const value = randomBytes(size);
      const kek = `kek of ${size}`;
      await nss.putAes(value, kek);
      const options = { ...place(nss), pin: nss.pin, label: `under ${kek}`, allowWrapping: true };
      for (const key of [secret, "x".repeat(101)]) {
        const wrapped = { method: "aes-kwp", label: kek, value } as const;
        await importPkcs11Key(Buffer.from(key), { ...options, wrapped, replace: true });
        await expectSigns(options, key);
      }
      const other = { method: "aes-kwp", label: kek, value: randomBytes(size) } as const;
      await expect(
        importPkcs11Key(Buffer.from(secret), { ...options, label: "never", wrapped: other }),
      ).rejects.toMatchObject({ operation: "C_UnwrapKey", rvName: "CKR_WRAPPED_KEY_INVALID" });
      expect(await nss.keys()).not.toContain("never");
    });
  }, ["logout"]);
});
