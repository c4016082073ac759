import { writeFileSync } from "node:fs";
import type { TpmParent } from "../../lib/keys/tpm/parent.js";
import { describeWith } from "../support/requirements.js";
import { readKnownKey } from "../support/tpm-known-key.js";
import { day, macOf, tpmSuite } from "../support/tpm-suite.js";
import { storageAttributes, toolsKey } from "../support/tpm-tools-key.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM key under", () => {
  const suite = tpmSuite();
  const key = toolsKey(suite);

  /** Runs a tool with the EK as parent: each command needs its policy anew. */
  const underEk = (parent: string, password: string, tool: string, ...args: string[]): void => {
    suite.tool("tpm2_startauthsession", "--policy-session", "-S", "session.ctx");
    suite.tool("tpm2_policysecret", "-S", "session.ctx", "-c", "e", ...(password ? [password] : []));
    suite.toolAndFlush(tool, "-C", parent, "-P", "session:session.ctx", ...key.areas, ...args);
    suite.tool("tpm2_flushcontext", "-s");
  };
  const create = (parent: string, password = ""): string => {
    underEk(parent, password, "tpm2_create", "-G", "hmac", "-g", "sha256");
    underEk(parent, password, "tpm2_load", "-c", "k.ctx");
    return key.theirMac();
  };

  test.each(["rsa", "ecc"])("the endorsement key: %s", async (kind) => {
    const parent = `ek-${kind}` as TpmParent;
    suite.toolAndFlush("tpm2_createek", "-G", kind, "-c", "ek.ctx", "-u", "ek.pub");
    const mac = create("ek.ctx");
    for (const encryption of ["session", "none"] as const) {
      expect(await key.macHere({ blobs: key.blobs, parent, encryption })).toBe(mac);
    }
    await expect(suite.open({ blobs: key.blobs, parent: "endorsement" })).rejects.toMatchObject({
      code: "ERR_TPM_PARENT",
    });
    expect(await key.macHere({ pemFile: key.encode("ek.ctx"), parent })).toBe(mac);

    const opened = await suite.open({ blobs: key.blobs, parent });
    await suite.tpm.kill();
    await suite.tpm.start();
    expect(await macOf(opened, day)).toBe(mac);
  });

  test("the endorsement key, persistent, of a hierarchy with a password", async () => {
    suite.tool("tpm2_changeauth", "-c", "endorsement", "ek password");
    suite.toolAndFlush("tpm2_createek", "-G", "rsa", "-P", "ek password", "-c", "0x81010001", "-u", "ek.pub");
    try {
      const mac = create("0x81010001", "ek password");
      const parentAuth = { hierarchyPassword: "ek password" };
      const pemFile = key.encode("0x81010001");
      for (const place of [
        { blobs: key.blobs, parent: "ek-rsa" as const },
        { blobs: key.blobs, parent: 0x81010001 },
        { pemFile },
      ]) {
        expect(await key.macHere({ ...place, parentAuth })).toBe(mac);
        expect(await key.macHere({ ...place, parentAuth, auth: { password: "", mode: "plain" } })).toBe(mac);
      }
      await expect(
        suite.open({ pemFile, parentAuth: { hierarchyPassword: "another" } }),
      ).rejects.toMatchObject({
        code: "ERR_TPM_AUTH",
        operation: "TPM2_PolicySecret",
      });
    } finally {
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81010001");
      suite.tool("tpm2_changeauth", "-c", "endorsement", "-p", "ek password");
    }
  });

  // TCG's high-range templates (EK Credential Profile 2.5, B.4.4 and B.4.6), whose policy is PolicyB; the second is
  // what Amazon EC2's TPMs and swtpm_setup have at 0x81010016.
  const policyB = {
    sha256: "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0",
    sha384:
      "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12",
  };
  test.each([
    ["rsa2048:aes128cfb", "sha256"],
    ["ecc384:aes256cfb", "sha384"],
  ] as const)(
    "an endorsement key of the high range, which is the salt key too: %s, %s",
    async (kind, hash) => {
      const attributes = storageAttributes.replace("noda", "adminwithpolicy");
      writeFileSync(suite.file("policy"), Buffer.from(policyB[hash], "hex"));
      const template = ["-G", kind, "-g", hash, "-L", "policy", "-a", attributes];
      suite.toolAndFlush("tpm2_createprimary", "-C", "e", ...template, "-c", "ek.ctx");
      suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "ek.ctx", "0x81010016");
      const { name, pem, area } = readKnownKey(suite, 0x81010016);
      const mac = key.create("0x81010016");
      for (const pin of [{}, { name }, { publicKey: pem }, { publicKey: area }]) {
        const saltKey = { handle: 0x81010016, ...pin };
        expect(await key.macHere({ blobs: key.blobs, parent: 0x81010016, saltKey })).toBe(mac);
      }
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81010016");
    },
  );
});
