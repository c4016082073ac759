import type { TpmSaltKey } from "../../lib/keys/tpm/salt-key.js";
import type { TpmBlobs } from "../../lib/keys/tpm/source.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { storageAttributes } from "../support/tpm-tools-key.js";
import { tap } from "../support/wiretap.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM's bus", () => {
  const suite = tpmSuite();

  test("who listens on the bus learns neither secret, password nor MAC, unless encryption is off", async () => {
    const ofEndorsement = "the endorsement's password";
    suite.tool("tpm2_changeauth", "-c", "endorsement", ofEndorsement);
    const wire = await tap(suite.tcti);
    try {
      const options = { tcti: wire.tcti, auth: { password } };
      const { pem } = await importTpmKey(Buffer.from(secret), { ...options, output: "pem" });
      const macs = async (
        encryption: "session" | "none",
        mode: "hmac" | "plain",
        saltKey?: TpmSaltKey,
      ): Promise<string[]> => {
        const key = await suite.open({ tcti: wire.tcti, pem, encryption, saltKey, auth: { password, mode } });
        const results = [await macOf(key, day), await macOf(key, Buffer.alloc(3000))];
        await key.close();
        return results;
      };
      const seen = (results: string[]): boolean[] => results.map((mac) => wire.saw(Buffer.from(mac, "hex")));

      expect(seen(await macs("session", "hmac"))).toEqual([false, false]);
      expect([secret, password].map((text) => wire.saw(Buffer.from(text)))).toEqual([false, false]);
      for (const handle of ["ek-rsa", "ek-ecc"] as const) {
        const saltKey = { handle, hierarchyPassword: ofEndorsement };
        expect(seen(await macs("session", "hmac", saltKey))).toEqual([false, false]);
        await importTpmKey(Buffer.from(secret), { ...options, saltKey, output: "pem" });
      }
      const texts = [secret, password, ofEndorsement];
      expect(texts.map((text) => wire.saw(Buffer.from(text)))).toEqual([false, false, false]);
      expect(seen(await macs("session", "plain"))).toEqual([false, false]);
      expect(wire.saw(Buffer.from(password))).toBe(true);
      expect(seen(await macs("none", "hmac"))).toEqual([true, true]);
      expect(wire.saw(Buffer.from(secret))).toBe(false);
    } finally {
      await wire.stop();
      suite.tool("tpm2_changeauth", "-c", "endorsement", "-p", ofEndorsement);
    }
  });

  test("nor the passwords of the parent and its hierarchy, unless they are sent in clear", async () => {
    const [ofParent, ofHierarchy] = ["a parent's password", "a hierarchy's password"];
    suite.tool("tpm2_changeauth", "-c", "owner", ofHierarchy);
    suite.toolAndFlush(
      "tpm2_createprimary",
      "-C",
      "o",
      "-P",
      ofHierarchy,
      "-p",
      ofParent,
      "-G",
      "ecc",
      "-c",
      "p.ctx",
    );
    suite.tool("tpm2_evictcontrol", "-C", "o", "-P", ofHierarchy, "-c", "p.ctx", "0x81000010");
    suite.tool("tpm2_flushcontext", "-t");
    const create = (parent: string, name: string, ...parentPassword: string[]): TpmBlobs => {
      const areas = ["-u", `${name}.pub`, "-r", `${name}.priv`];
      suite.toolAndFlush(
        "tpm2_create",
        "-C",
        parent,
        ...parentPassword,
        "-G",
        "hmac",
        "-g",
        "sha256",
        ...areas,
      );
      return { publicArea: suite.file(`${name}.pub`), privateArea: suite.file(`${name}.priv`) };
    };
    suite.toolAndFlush(
      "tpm2_createprimary",
      "-C",
      "o",
      "-P",
      ofHierarchy,
      "-G",
      "ecc",
      "-a",
      storageAttributes,
      "-c",
      "primary.ctx",
    );
    const child = create("0x81000010", "child", "-P", ofParent);
    const ofOwner = create("primary.ctx", "ofowner");
    const wire = await tap(suite.tcti);
    try {
      const use = async (encryption: "session" | "none", mode: "hmac" | "plain"): Promise<boolean[]> => {
        const how = { tcti: wire.tcti, encryption, auth: { password: "", mode } };
        const keys = [
          await suite.open({ ...how, blobs: child, parent: 0x81000010, parentAuth: { password: ofParent } }),
          await suite.open({ ...how, blobs: ofOwner, parentAuth: { hierarchyPassword: ofHierarchy } }),
        ];
        for (const key of keys) {
          expect(await macOf(key, day)).toMatch(/^[0-9a-f]{64}$/);
          await key.close();
        }
        return [ofParent, ofHierarchy].map((text) => wire.saw(Buffer.from(text)));
      };
      expect(await use("session", "hmac")).toEqual([false, false]);
      expect(await use("none", "hmac")).toEqual([false, false]);
      expect(await use("session", "plain")).toEqual([true, true]);
    } finally {
      await wire.stop();
      suite.tool("tpm2_evictcontrol", "-C", "o", "-P", ofHierarchy, "-c", "0x81000010");
      suite.tool("tpm2_changeauth", "-c", "owner", "-p", ofHierarchy);
    }
  });
});
