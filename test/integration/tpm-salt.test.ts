import { createPublicKey } from "node:crypto";
import type { TpmSaltKey } from "../../lib/keys/tpm/salt-key.js";
import { removeTpmKey } from "../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { readKnownKey } from "../support/tpm-known-key.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { storageAttributes } from "../support/tpm-tools-key.js";

describeWith(["swtpm", "tpm2-tools"], "the salt key of a TPM's sessions", () => {
  const suite = tpmSuite();
  const auth = { password };
  const refused = { name: "TpmError", code: "ERR_TPM_SALT_KEY", rc: 0, retryable: false };

  const makeEk = (kind: "rsa" | "ecc", place: string): void =>
    suite.toolAndFlush("tpm2_createek", "-G", kind, "-c", place, "-u", "ek.pub");
  const persistent = { rsa: 0x81010001, ecc: 0x81010002 };

  beforeAll(async () => {
    await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle, auth });
    makeEk("rsa", "0x81010001");
    makeEk("ecc", "0x81010002");
  });

  const kinds = ["rsa", "ecc"] as const;

  test.each(kinds)("is the %s endorsement key, persistent or made, with each kind of pin", async (kind) => {
    const { name, pem, area } = readKnownKey(suite, persistent[kind]);
    const upper = name.toUpperCase();
    const bytes = Buffer.from(name, "hex");
    const der = createPublicKey(pem).export({ type: "spki", format: "der" });
    const pins = [{}, { name }, { name: upper }, { name: bytes }];
    const keys = [pem, der, area, area.subarray(2)].map((publicKey) => ({ publicKey }));
    const both = [
      { name, publicKey: pem },
      { name, publicKey: area },
    ];
    for (const place of [persistent[kind], `ek-${kind}` as const]) {
      for (const pin of [...pins, ...keys, ...both]) {
        const key = await suite.open({ handle, auth, saltKey: { handle: place, ...pin } });
        expect(await macOf(key, day)).toBe(expected(day));
        await key.close();
      }
    }
  });

  test.each(["owner", "owner-rsa", "endorsement", "platform-rsa", "null"] as const)(
    "is the primary %s",
    async (place) => {
      const hierarchy = place.slice(0, 1);
      const kind = place.endsWith("-rsa") ? "rsa" : "ecc";
      const attributes = ["-a", storageAttributes];
      suite.toolAndFlush(
        "tpm2_createprimary",
        "-C",
        hierarchy,
        "-G",
        kind,
        ...attributes,
        "-c",
        "primary.ctx",
      );
      const { name, pem } = readKnownKey(suite, "primary.ctx");
      for (const pin of [{ name }, { publicKey: pem }]) {
        const key = await suite.open({ handle, auth, saltKey: { handle: place, ...pin } });
        expect(await macOf(key, day)).toBe(expected(day));
        await key.close();
      }
    },
  );

  test.each(kinds)("is refused where it is another than the pinned one (%s)", async (kind) => {
    const other = kind === "rsa" ? "ecc" : "rsa";
    const { name, pem, area } = readKnownKey(suite, persistent[other]);
    const own = readKnownKey(suite, persistent[kind]);
    const oneBitOff = own.name.replace(/.$/, (last) => (Number.parseInt(last, 16) ^ 1).toString(16));
    const otherAlgorithm = `000c${"00".repeat(48)}`;
    const pins = [
      { name },
      { publicKey: pem },
      { publicKey: area },
      { name: oneBitOff },
      { name: otherAlgorithm },
    ];
    for (const place of [persistent[kind], `ek-${kind}` as const]) {
      for (const pin of [...pins, { name, publicKey: own.pem }, { name: own.name, publicKey: pem }]) {
        await expect(suite.open({ handle, auth, saltKey: { handle: place, ...pin } })).rejects.toMatchObject(
          refused,
        );
      }
    }
  });

  test("is refused where it is missing or no key for salts", async () => {
    const signing = ["-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"];
    suite.toolAndFlush("tpm2_createprimary", "-C", "o", "-G", "ecc:ecdsa:null", ...signing, "-c", "sign.ctx");
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "sign.ctx", "0x81000020");
    for (const place of [handle, 0x81000020, 0x81000021]) {
      await expect(suite.open({ handle, auth, saltKey: { handle: place } })).rejects.toMatchObject({
        code: "ERR_TPM_SALT_KEY",
      });
    }
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000020");
  });

  test("is asked for again, and compared, after a reset of the TPM", async () => {
    const { name } = readKnownKey(suite, persistent.rsa);
    const key = await suite.open({ handle, auth, saltKey: { handle: persistent.rsa, name } });
    await suite.tpm.kill();
    await suite.tpm.start();
    expect(await macOf(key, day)).toBe(expected(day));
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81010001");
    suite.toolAndFlush("tpm2_createprimary", "-C", "e", "-G", "rsa", "-c", "another.ctx");
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "another.ctx", "0x81010001");
    try {
      await suite.tpm.kill();
      await suite.tpm.start();
      for (const _again of [1, 2]) await expect(key.mac(day)).rejects.toMatchObject(refused);
    } finally {
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81010001");
      makeEk("rsa", "0x81010001");
    }
  });

  test("serves for a key's parent and its passwords, and with the endorsement's password", async () => {
    suite.tool("tpm2_changeauth", "-c", "endorsement", "ek password");
    const attributes = storageAttributes.replace("|noda", "");
    const parentOptions = ["-p", "parent password", "-a", attributes, "-c", "parent.ctx"];
    suite.toolAndFlush("tpm2_createprimary", "-C", "o", "-G", "ecc", ...parentOptions);
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "parent.ctx", "0x81000010");
    const make = ["-P", "parent password", "-G", "hmac", "-g", "sha256", "-u", "k.pub", "-r", "k.priv"];
    suite.toolAndFlush("tpm2_create", "-C", "0x81000010", ...make);
    const blobs = { publicArea: suite.file("k.pub"), privateArea: suite.file("k.priv") };
    try {
      const { name } = readKnownKey(suite, persistent.ecc);
      const macs: string[] = [];
      for (const saltKey of [
        undefined,
        { handle: persistent.ecc, name },
        { handle: "ek-ecc", name, hierarchyPassword: "ek password" },
      ] as (TpmSaltKey | undefined)[]) {
        const parent = { parent: 0x81000010, parentAuth: { password: "parent password" } };
        for (const mode of ["hmac", "plain"] as const) {
          const key = await suite.open({ blobs, ...parent, saltKey, auth: { password: "", mode } });
          macs.push(await macOf(key, day));
          await key.close();
        }
      }
      expect(macs).toEqual(Array(6).fill(macs[0]));
      for (const hierarchyPassword of [undefined, "another"]) {
        await expect(
          suite.open({ handle, auth, saltKey: { handle: "ek-ecc", name, hierarchyPassword } }),
        ).rejects.toMatchObject({ code: "ERR_TPM_AUTH", operation: "TPM2_CreatePrimary" });
      }
    } finally {
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000010");
      suite.tool("tpm2_changeauth", "-c", "endorsement", "-p", "ek password");
    }
  });

  test("serves for imports and removals", async () => {
    const { name, pem } = readKnownKey(suite, persistent.rsa);
    const saltKey = { handle: persistent.rsa, name };
    const options = { tcti: suite.tcti, auth, saltKey };
    await importTpmKey(Buffer.from(secret), { ...options, handle: 0x81008002 });
    const key = await suite.open({ handle: 0x81008002, auth, saltKey });
    expect(await macOf(key, day)).toBe(expected(day));
    await key.close();
    const wrong = { handle: persistent.ecc, publicKey: pem };
    await expect(
      importTpmKey(Buffer.from(secret), { ...options, saltKey: wrong, output: "pem" }),
    ).rejects.toMatchObject(refused);
    const removal = { tcti: suite.tcti, handle: 0x81008002 };
    await expect(removeTpmKey({ ...removal, saltKey: wrong })).rejects.toMatchObject(refused);
    await removeTpmKey({ ...removal, saltKey });
  });
});
