import { readFileSync, writeFileSync } from "node:fs";
import { der, tags } from "../../lib/keys/tpm/der.js";
import type { TpmHierarchy } from "../../lib/keys/tpm/parent.js";
import { parseTss2Pem } from "../../lib/keys/tpm/tss2-pem.js";
import { describeWith } from "../support/requirements.js";
import { day, macOf, tpmSuite } from "../support/tpm-suite.js";
import { storageAttributes, toolsKey } from "../support/tpm-tools-key.js";

describeWith(["swtpm", "tpm2-tools"], "the parent of a TPM key", () => {
  const suite = tpmSuite();
  const { blobs, createPrimary, create, encode, macHere } = toolsKey(suite);

  /** A key file of k.pub and k.priv, with this INTEGER as parent. */
  const pemWith = (parent: string, ...optional: Buffer[]): string => {
    const key = der(
      tags.sequence,
      der(tags.objectIdentifier, Buffer.from("6781050a0103", "hex")),
      ...optional,
      der(tags.integer, Buffer.from(parent, "hex")),
      der(tags.octetString, readFileSync(blobs.publicArea)),
      der(tags.octetString, readFileSync(blobs.privateArea)),
    );
    return `-----BEGIN TSS2 PRIVATE KEY-----\n${key.toString("base64")}\n-----END TSS2 PRIVATE KEY-----\n`;
  };
  const hierarchies: [TpmHierarchy, string][] = [
    ["owner", "0040000001"],
    ["null", "40000007"],
    ["endorsement", "4000000b"],
    ["platform", "4000000c"],
  ];

  test.each(hierarchies)(
    "the %s hierarchy: its ECC primary, from PEM and blobs",
    async (hierarchy, number) => {
      createPrimary("-C", hierarchy.slice(0, 1), "-G", "ecc");
      const mac = create("parent.ctx");
      expect(await macHere({ pem: pemWith(number) })).toBe(mac);
      // tpm2_encodeobject 5.4 names the owner hierarchy whatever the primary's is.
      expect(await macHere({ pemFile: encode("parent.ctx"), parent: hierarchy })).toBe(mac);
      for (const encryption of ["session", "none"] as const) {
        expect(await macHere({ blobs, parent: hierarchy, encryption })).toBe(mac);
      }
      await expect(suite.open({ blobs, parent: `${hierarchy}-rsa` })).rejects.toMatchObject({
        code: "ERR_TPM_PARENT",
      });
    },
  );

  test.each(hierarchies)(
    "the %s hierarchy: its RSA primary, from PEM and blobs",
    async (hierarchy, number) => {
      createPrimary("-C", hierarchy.slice(0, 1), "-G", "rsa");
      const mac = create("parent.ctx");
      const pem = pemWith(number, der(tags.explicit(5), der(tags.boolean, Buffer.of(0xff))));
      expect(await macHere({ pem })).toBe(mac);
      expect(await macHere({ blobs, parent: `${hierarchy}-rsa` })).toBe(mac);
      await expect(suite.open({ blobs, parent: hierarchy })).rejects.toMatchObject({
        code: "ERR_TPM_PARENT",
      });
    },
  );

  test.each(["00", "0080000000", "80000000"])(
    "%s in an old key file means the owner hierarchy",
    async (number) => {
      createPrimary("-C", "o", "-G", "ecc");
      const mac = create("parent.ctx");
      expect(await macHere({ pem: pemWith(number) })).toBe(mac);
    },
  );

  test("the NULL hierarchy has another primary after a reset", async () => {
    createPrimary("-C", "n", "-G", "ecc");
    const mac = create("parent.ctx");
    const key = await suite.open({ blobs, parent: "null" });
    expect(await macOf(key, day)).toBe(mac);
    await suite.tpm.kill();
    await suite.tpm.start();
    await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_PARENT", rcName: "TPM_RC_INTEGRITY" });
  });

  test("a hierarchy with a password", async () => {
    suite.tool("tpm2_changeauth", "-c", "owner", "owner password");
    try {
      createPrimary("-C", "o", "-G", "ecc", "-P", "owner password");
      const mac = create("parent.ctx");
      const parentAuth = { hierarchyPassword: "owner password" };
      expect(await macHere({ blobs, parentAuth })).toBe(mac);
      expect(await macHere({ blobs, parentAuth, encryption: "none" })).toBe(mac);
      expect(await macHere({ blobs, parentAuth, auth: { password: "", mode: "plain" } })).toBe(mac);
      const refused = { code: "ERR_TPM_AUTH", operation: "TPM2_CreatePrimary" };
      await expect(suite.open({ blobs })).rejects.toMatchObject(refused);
      const wrong = { hierarchyPassword: "another" };
      await expect(suite.open({ blobs, parentAuth: wrong })).rejects.toMatchObject(refused);
    } finally {
      suite.tool("tpm2_changeauth", "-c", "owner", "-p", "owner password");
    }
  });

  test("a persistent key with a password", async () => {
    const handle = 0x81000010;
    const attributes = storageAttributes.replace("|noda", "");
    createPrimary("-C", "o", "-G", "ecc", "-p", "parent password", "-a", attributes);
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "parent.ctx", "0x81000010");
    const mac = create("0x81000010", "-P", "parent password");
    const parentAuth = { password: Buffer.from("parent password") };
    const pemFile = encode("0x81000010");
    expect(parseTss2Pem(readFileSync(pemFile, "latin1")).parent).toBe(handle);
    for (const place of [{ pemFile }, { pem: pemWith("81000010") }, { blobs, parent: handle }]) {
      expect(await macHere({ ...place, parentAuth })).toBe(mac);
      expect(await macHere({ ...place, parentAuth, encryption: "none" })).toBe(mac);
      expect(await macHere({ ...place, parentAuth, auth: { password: "", mode: "plain" } })).toBe(mac);
    }
    const key = await suite.open({ pemFile, parentAuth });
    await suite.tpm.kill();
    await suite.tpm.start();
    expect(await macOf(key, day)).toBe(mac);
    const refused = { code: "ERR_TPM_AUTH", operation: "TPM2_Load" };
    await key.close();
    await expect(suite.open({ pemFile, parentAuth: { password: "another" } })).rejects.toMatchObject(refused);
    await expect(suite.open({ pemFile })).rejects.toMatchObject(refused);
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000010");
    await expect(suite.open({ pemFile, parentAuth })).rejects.toMatchObject({ code: "ERR_TPM_PARENT" });
  });

  test("whose password changed while its key was in use: the old one is sent once", async () => {
    const persist = (parentPassword: string): void => {
      const attributes = storageAttributes.replace("|noda", "");
      createPrimary("-C", "o", "-G", "ecc", "-p", parentPassword, "-a", attributes);
      suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "parent.ctx", "0x81000010");
    };
    persist("old password");
    create("0x81000010", "-P", "old password");
    const key = await suite.open({ blobs, parent: 0x81000010, parentAuth: { password: "old password" } });
    await suite.tpm.kill();
    await suite.tpm.start();
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000010");
    persist("new password");
    suite.tool("tpm2_dictionarylockout", "--clear-lockout");
    for (const _again of [1, 2]) {
      await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_AUTH", operation: "TPM2_Load" });
    }
    expect(suite.tool("tpm2_getcap", "properties-variable")).toMatch(/TPM2_PT_LOCKOUT_COUNTER: 0x1\n/);
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000010");
  });

  test("that is no parent, wants another policy or is in a disabled hierarchy is refused", async () => {
    createPrimary("-C", "o", "-G", "ecc");
    create("parent.ctx");
    writeFileSync(suite.file("policy"), Buffer.alloc(32, 1));
    const withPolicy = storageAttributes.replace("userwithauth|", "");
    createPrimary("-C", "o", "-G", "ecc", "-L", "policy", "-a", withPolicy);
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "parent.ctx", "0x81000011");
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "k.ctx", "0x81000012");
    for (const parent of [0x81000011, 0x81000012]) {
      await expect(suite.open({ blobs, parent })).rejects.toMatchObject({ code: "ERR_TPM_PARENT" });
    }
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000011");
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000012");
    suite.tool("tpm2_hierarchycontrol", "-C", "p", "phEnable", "clear");
    await expect(suite.open({ blobs, parent: "platform" })).rejects.toMatchObject({
      code: "ERR_TPM_PARENT",
      message: expect.stringContaining("platform hierarchy is disabled"),
    });
  });
});
