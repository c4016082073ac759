import { writeFileSync } from "node:fs";
import type { TpmParent } from "../../lib/keys/tpm/parent.js";
import { parseTss2Pem } from "../../lib/keys/tpm/tss2-pem.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { storageAttributes, toolsKey } from "../support/tpm-tools-key.js";
import { tap } from "../support/wiretap.js";

describeWith(["swtpm", "tpm2-tools"], "importTpmKey under", () => {
  const suite = tpmSuite();
  const tools = toolsKey(suite);
  const auth = { password };
  const importing = { auth, output: "pem" } as const;
  const persistent = (): string => suite.tool("tpm2_getcap", "handles-persistent");

  /** The MAC of the day by tpm2-tools, of a PEM's blobs under parent.ctx or a persistent handle. */
  const macByTools = (pem: string, parent: string, ...parentAuth: string[]): string => {
    const { publicArea, privateArea } = parseTss2Pem(pem);
    writeFileSync(tools.blobs.publicArea, publicArea);
    writeFileSync(tools.blobs.privateArea, privateArea);
    suite.toolAndFlush("tpm2_load", "-C", parent, ...parentAuth, ...tools.areas, "-c", "k.ctx");
    return tools.theirMac("-p", password);
  };

  test.each<[TpmParent, string, string]>([
    ["owner", "o", "ecc"],
    ["owner-rsa", "o", "rsa"],
    ["endorsement", "e", "ecc"],
    ["endorsement-rsa", "e", "rsa"],
    ["platform", "p", "ecc"],
    ["platform-rsa", "p", "rsa"],
    ["null", "n", "ecc"],
    ["null-rsa", "n", "rsa"],
  ])("the primary %s: a PEM that names it, for us and for tpm2-tools", async (parent, hierarchy, kind) => {
    const imported = await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, ...importing, parent });
    expect(Object.keys(imported)).toEqual(["pem"]);
    expect(await tools.macHere({ ...imported, auth })).toBe(expected(day));
    tools.createPrimary("-C", hierarchy, "-G", kind);
    expect(macByTools(imported.pem, "parent.ctx")).toBe(expected(day));
  });

  test.each(["ek-rsa", "ek-ecc"] as const)(
    "%s: a PEM that is opened with what the import gave",
    async (parent) => {
      const imported = await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, ...importing, parent });
      expect(imported.parent).toBe(parent);
      expect(parseTss2Pem(imported.pem).parent).toBe(0x4000000b);
      expect(await tools.macHere({ ...imported, auth })).toBe(expected(day));
    },
  );

  test.each<TpmParent>(["endorsement", "owner-rsa", "ek-rsa", "ek-ecc"])(
    "%s: a persistent key",
    async (parent) => {
      await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, auth, handle, parent });
      try {
        expect(await tools.macHere({ handle, auth })).toBe(expected(day));
      } finally {
        suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
      }
    },
  );

  test.each<TpmParent>(["null", "null-rsa", "platform", 0x81800001])(
    "%s: no persistent key, and nothing is asked of the TPM",
    async (parent) => {
      for (const place of [handle, "free"] as const) {
        const refused = importTpmKey(Buffer.from(secret), {
          tcti: "swtpm:port=1",
          auth,
          handle: place,
          parent,
        });
        await expect(refused).rejects.toMatchObject({
          code: "ERR_INVALID_ARGUMENT",
          message: expect.stringMatching(/parent.*output "pem"/),
        });
      }
    },
  );

  test("a persistent storage key with a password of its own", async () => {
    const parent = 0x81000010;
    const attributes = storageAttributes.replace("|noda", "");
    tools.createPrimary("-C", "o", "-G", "ecc", "-p", "parent password", "-a", attributes);
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "parent.ctx", "0x81000010");
    const wire = await tap(suite.tcti);
    try {
      const parentAuth = { password: "parent password" };
      const place = { tcti: wire.tcti, parent };
      const { pem } = await importTpmKey(Buffer.from(secret), { ...place, ...importing, parentAuth });
      expect(parseTss2Pem(pem).parent).toBe(parent);
      expect(await tools.macHere({ pem, parentAuth, auth })).toBe(expected(day));
      expect(macByTools(pem, "0x81000010", "-P", "parent password")).toBe(expected(day));
      await importTpmKey(Buffer.from(secret), { ...place, auth, handle, parentAuth });
      expect(await tools.macHere({ handle, auth })).toBe(expected(day));
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
      expect([secret, password, "parent password"].map((text) => wire.saw(Buffer.from(text)))).toEqual([
        false,
        false,
        false,
      ]);
      for (const wrong of [undefined, { password: "another" }]) {
        const refused = importTpmKey(Buffer.from(secret), { ...place, ...importing, parentAuth: wrong });
        await expect(refused).rejects.toMatchObject({ code: "ERR_TPM_AUTH", operation: "TPM2_Create" });
      }
    } finally {
      await wire.stop();
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000010");
    }
  });

  test("a parent that is missing, or no storage key", async () => {
    const where = { tcti: suite.tcti, ...importing };
    const refused = { code: "ERR_TPM_PARENT" };
    await expect(importTpmKey(Buffer.from(secret), { ...where, parent: 0x81000077 })).rejects.toMatchObject(
      refused,
    );
    await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle });
    await expect(importTpmKey(Buffer.from(secret), { ...where, parent: handle })).rejects.toMatchObject(
      refused,
    );
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
  });

  test("an endorsement key, made or persistent, of hierarchies with passwords", async () => {
    const [owner, endorsement] = ["the owner's password", "the endorsement's password"];
    suite.tool("tpm2_changeauth", "-c", "owner", owner);
    suite.tool("tpm2_changeauth", "-c", "endorsement", endorsement);
    suite.toolAndFlush(
      ...["tpm2_createek", "-G", "rsa", "-P", endorsement, "-w", owner, "-c", "0x81010001", "-u", "ek.pub"],
    );
    const wire = await tap(suite.tcti);
    try {
      const ownerAuth = { password: owner };
      const parentAuth = { hierarchyPassword: endorsement };
      for (const parent of ["ek-rsa", 0x81010001] as const) {
        const place = { tcti: wire.tcti, parent, parentAuth };
        const imported = await importTpmKey(Buffer.from(secret), { ...place, ...importing });
        expect(await tools.macHere({ ...imported, parentAuth, auth })).toBe(expected(day));
        await importTpmKey(Buffer.from(secret), { ...place, auth, handle, ownerAuth });
        expect(await tools.macHere({ handle, auth })).toBe(expected(day));
        suite.tool("tpm2_evictcontrol", "-C", "o", "-P", owner, "-c", "0x81008001");
        const before = persistent();
        const withoutOwner = importTpmKey(Buffer.from(secret), { ...place, auth, handle });
        await expect(withoutOwner).rejects.toMatchObject({
          code: "ERR_TPM_AUTH",
          operation: "TPM2_EvictControl",
          message: expect.stringContaining("ownerAuth"),
        });
        expect(persistent()).toBe(before);
        const withoutEndorsement = importTpmKey(Buffer.from(secret), {
          ...place,
          ...importing,
          parentAuth: undefined,
        });
        await expect(withoutEndorsement).rejects.toMatchObject({
          code: "ERR_TPM_AUTH",
          message: expect.stringMatching(/endorsement hierarchy.*parentAuth\.hierarchyPassword/),
        });
      }
      expect([secret, password, owner, endorsement].map((text) => wire.saw(Buffer.from(text)))).toEqual([
        false,
        false,
        false,
        false,
      ]);
    } finally {
      await wire.stop();
      suite.tool("tpm2_evictcontrol", "-C", "o", "-P", owner, "-c", "0x81010001");
      suite.tool("tpm2_changeauth", "-c", "endorsement", "-p", endorsement);
      suite.tool("tpm2_changeauth", "-c", "owner", "-p", owner);
    }
  });

  test("the owner hierarchy with a password: either option gives it, and they may not contradict each other", async () => {
    suite.tool("tpm2_changeauth", "-c", "owner", "owned");
    try {
      const [ownerAuth, parentAuth] = [{ password: "owned" }, { hierarchyPassword: "owned" }];
      for (const passwords of [{ ownerAuth }, { parentAuth }, { ownerAuth, parentAuth }]) {
        for (const parent of ["owner", "owner-rsa"] as const) {
          await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, auth, handle, parent, ...passwords });
          suite.tool("tpm2_evictcontrol", "-C", "o", "-P", "owned", "-c", "0x81008001");
        }
      }
      for (const hierarchyPassword of ["", "other", "a longer one"]) {
        const contradictory = { ownerAuth, parentAuth: { hierarchyPassword } };
        const refused = importTpmKey(Buffer.from(secret), { tcti: "swtpm:port=1", handle, ...contradictory });
        await expect(refused).rejects.toMatchObject({
          code: "ERR_INVALID_ARGUMENT",
          message: expect.stringMatching(/ownerAuth.*parentAuth/),
        });
      }
    } finally {
      suite.tool("tpm2_changeauth", "-c", "owner", "-p", "owned");
    }
  });
});
