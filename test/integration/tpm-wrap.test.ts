import { execFileSync } from "node:child_process";
import { createHash, createHmac, X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import {
  importWrappedTpmKey,
  openKey,
  type TpmPcrStep,
  type TpmPolicy,
  wrapForTpm,
} from "../../lib/index.js";
import { formatImportablePem, parseImportablePem } from "../../lib/keys/tpm/importable-pem.js";
import type { TpmParent } from "../../lib/keys/tpm/parent.js";
import { parseTss2Pem } from "../../lib/keys/tpm/tss2-pem.js";
import { describeWith } from "../support/requirements.js";
import { readKnownKey } from "../support/tpm-known-key.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { storageAttributes, toolsKey } from "../support/tpm-tools-key.js";
import { tap } from "../support/wiretap.js";

const auth = { password };
const key = Buffer.from(secret);

describeWith(["swtpm", "tpm2-tools", "openssl"], "a key that was wrapped for a TPM", () => {
  const target = tpmSuite();
  const other = tpmSuite();
  const tools = toolsKey(target);
  const persistent = (): string => target.tool("tpm2_getcap", "handles-persistent");

  /** The endorsement key of the target: ek.ctx, ek.pub and ek.pem in the target's folder. */
  const endorsementKey = (kind: "rsa" | "ecc"): Buffer => {
    target.toolAndFlush("tpm2_createek", "-G", kind, "-c", "ek.ctx", "-u", "ek.pub");
    target.toolAndFlush("tpm2_readpublic", "-c", "ek.ctx", "-f", "pem", "-o", "ek.pem");
    return readFileSync(target.file("ek.pub"));
  };
  const openssl = (...args: string[]): string =>
    execFileSync("openssl", args, { cwd: target.file(""), encoding: "utf8", stdio: "pipe" });
  /** What the maker of a TPM gives with it: a certificate of ek.pem. */
  const certificate = (): X509Certificate => {
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca.key");
    const made = ["-key", "ca.key", "-subj", "/CN=TPM", "-days", "1", "-out", "ek.crt"];
    openssl("x509", "-new", "-force_pubkey", "ek.pem", ...made);
    return new X509Certificate(readFileSync(target.file("ek.crt")));
  };
  const derOf = (): Buffer => {
    openssl("pkey", "-pubin", "-in", "ek.pem", "-outform", "DER", "-out", "ek.der");
    return readFileSync(target.file("ek.der"));
  };
  const importPem = (file: string, options: { parent?: TpmParent; tcti?: string } = {}) =>
    importWrappedTpmKey(file, { tcti: target.tcti, auth, output: "pem", ...options });

  test("it may be one for SigV4a", async () => {
    const ekPublic = endorsementKey("ecc");
    const { pem } = await importPem(await wrapForTpm(key, { ekPublic, password, algorithm: "sigv4a" }));
    await using opened = await target.open({ pem, auth, parent: "ek-ecc" });
    const mac = createHmac("sha256", `AWS4A${secret}`).update(day).digest("hex");
    expect(await macOf(opened, day)).toBe(mac);
    const wrong = { ekPublic, password, algorithm: "AWS4A" as "sigv4a" };
    await expect(wrapForTpm(key, wrong)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  describe.each(["rsa", "ecc"] as const)("its endorsement key, %s", (kind) => {
    const forms: [string, () => string | Buffer][] = [
      ["TPM2B_PUBLIC", () => readFileSync(target.file("ek.pub"))],
      ["TPMT_PUBLIC", () => readFileSync(target.file("ek.pub")).subarray(2)],
      ["PEM", () => readFileSync(target.file("ek.pem"), "latin1")],
      ["PEM as bytes", () => readFileSync(target.file("ek.pem"))],
      ["DER", derOf],
      ["certificate as PEM", () => certificate().toString()],
      ["certificate as PEM, as bytes", () => Buffer.from(certificate().toString())],
      ["certificate as DER", () => certificate().raw],
    ];
    test.each(forms)("given as %s: signs there and is refused elsewhere", async (_form, ekPublic) => {
      endorsementKey(kind);
      const file = await wrapForTpm(key, { ekPublic: ekPublic(), password });
      const imported = await importPem(file);
      expect(imported).toMatchObject({ parent: `ek-${kind}`, verified: true });
      for (const message of [day, Buffer.alloc(0), Buffer.alloc(1025, 7)]) {
        const opened = await target.open({ pem: imported.pem, parent: `ek-${kind}`, auth });
        expect(await macOf(opened, message)).toBe(expected(message));
        await opened.close();
      }
      await expect(importPem(file, { tcti: other.tcti })).rejects.toMatchObject({
        code: "ERR_TPM_PARENT",
        operation: "TPM2_Import",
      });
    });

    test("a persistent key, at a free handle or a given one that is free", async () => {
      const file = await wrapForTpm(key, { ekPublic: endorsementKey(kind), password });
      const place = { tcti: target.tcti, auth };
      const first = await importWrappedTpmKey(Buffer.from(file), { ...place, handle: "free" });
      expect(first.verified).toBe(true);
      const opened = await openKey(first.reference, { auth });
      expect(await macOf(opened, day)).toBe(expected(day));
      await opened.close();
      const second = await importWrappedTpmKey(file, { ...place, handle });
      expect(second.handle).toBe(handle);
      const before = persistent();
      await expect(importWrappedTpmKey(file, { ...place, handle })).rejects.toMatchObject({
        code: "ERR_TPM_HANDLE_IN_USE",
      });
      expect(persistent()).toBe(before);
      target.tool("tpm2_readpublic", "-c", "0x81008001");
      for (const { handle: made } of [first, second]) {
        target.tool("tpm2_evictcontrol", "-C", "o", "-c", `0x${made.toString(16)}`);
      }
    });

    test("tpm2-tools import and load what is in the file", async () => {
      const file = await wrapForTpm(key, { ekPublic: endorsementKey(kind), password });
      const { publicArea, duplicate, seed } = parseImportablePem(file);
      writeFileSync(target.file("k.pub"), publicArea);
      writeFileSync(target.file("duplicate"), duplicate);
      writeFileSync(target.file("seed"), seed);
      const underEk = (tool: string, ...args: string[]): void => {
        target.tool("tpm2_startauthsession", "--policy-session", "-S", "session.ctx");
        target.tool("tpm2_policysecret", "-S", "session.ctx", "-c", "e");
        target.tool(tool, "-C", "ek.ctx", "-P", "session:session.ctx", ...args);
        target.tool("tpm2_flushcontext", "session.ctx");
        target.tool("tpm2_flushcontext", "-t");
      };
      underEk("tpm2_import", "-i", "duplicate", "-s", "seed", "-u", "k.pub", "-r", "k.priv");
      underEk("tpm2_load", ...tools.areas, "-c", "k.ctx");
      expect(tools.theirMac("-p", password)).toBe(expected(day));
    });

    test("nothing of it crosses the target's bus", async () => {
      const file = await wrapForTpm(key, { ekPublic: endorsementKey(kind), password });
      const wire = await tap(target.tcti);
      try {
        const imported = await importPem(file, { tcti: wire.tcti });
        const opened = await target.open({ ...imported, tcti: wire.tcti, auth });
        expect(await macOf(opened, day)).toBe(expected(day));
        await opened.close();
        const description = parseImportablePem(file).description ?? "";
        const probe = /\((.{64})\)=(.{64})$/.exec(description)?.slice(1) ?? [];
        const macs = [...probe, expected(day)].map((hex) => Buffer.from(hex, "hex"));
        expect(macs.map((bytes) => bytes.length)).toEqual([32, 32, 32]);
        const secrets = [`AWS4${secret}`, secret, password].map((text) => Buffer.from(text));
        for (const bytes of [...secrets, ...macs]) {
          expect(wire.saw(bytes)).toBe(false);
          expect(file.includes(bytes.toString("latin1"))).toBe(false);
        }
        expect(wire.saw(Buffer.from(parseImportablePem(file).duplicate))).toBe(true);
      } finally {
        await wire.stop();
      }
    });

    test("nothing is kept of a file that was altered", async () => {
      const ekPublic = endorsementKey(kind);
      const file = parseImportablePem(await wrapForTpm(key, { ekPublic, password }));
      const codes = new Set<string>();
      const before = persistent();
      for (const part of ["publicArea", "duplicate", "seed"] as const) {
        const { length } = file[part];
        for (const at of [2, 5, 9, 12, 17, length >> 1, length - 20, length - 1]) {
          const altered = Buffer.from(file[part]);
          altered[at] = (altered[at] ?? 0) ^ 0x40;
          const refused = importWrappedTpmKey(formatImportablePem({ ...file, [part]: altered }), {
            ...{ tcti: target.tcti, auth, handle },
          });
          const error = await refused.then(
            () => undefined,
            (reason: unknown) => reason as { code: string },
          );
          codes.add(error?.code ?? `${part} ${at} was taken`);
        }
      }
      expect([...codes].sort()).toEqual(["ERR_TPM_FILE_INVALID", "ERR_TPM_PARENT"]);
      expect(persistent()).toBe(before);
    });

    test("an endorsement hierarchy with a password", async () => {
      const file = await wrapForTpm(key, { ekPublic: endorsementKey(kind), password });
      target.tool("tpm2_changeauth", "-c", "endorsement", "ek password");
      try {
        const parentAuth = { hierarchyPassword: "ek password" };
        const imported = await importWrappedTpmKey(file, {
          ...{ tcti: target.tcti, auth, output: "pem", parentAuth },
        });
        expect(await tools.macHere({ ...placeOf(imported), auth, parentAuth })).toBe(expected(day));
        await expect(importPem(file)).rejects.toMatchObject({
          code: "ERR_TPM_AUTH",
          message: expect.stringContaining("parentAuth.hierarchyPassword"),
        });
      } finally {
        target.tool("tpm2_changeauth", "-c", "endorsement", "-p", "ek password");
      }
    });
  });

  const placeOf = ({ pem, parent }: { pem: string; parent?: "ek-rsa" | "ek-ecc" }) =>
    parent === undefined ? { pem } : { pem, parent };

  // TCG's high-range templates (EK Credential Profile 2.5, B.4): userWithAuth, and other algorithms.
  test.each([
    ["rsa2048:aes128cfb", "sha256"],
    ["rsa2048:aes256cfb", "sha384"],
    ["ecc384:aes256cfb", "sha384"],
    ["ecc521:aes256cfb", "sha512"],
    ["ecc256:aes128cfb", "sha1"],
  ] as const)("another storage key, persistent: %s, %s", async (template, hash) => {
    target.toolAndFlush(
      ...(["tpm2_createprimary", "-C", "e", "-G", template, "-g", hash, "-c", "parent.ctx"] as const),
      ...["-a", storageAttributes],
    );
    target.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "parent.ctx", "0x81010016");
    try {
      const { area, pem } = readKnownKey(target, 0x81010016);
      const wrap = (ekPublic: string | Buffer): Promise<string> =>
        wrapForTpm(key, { ekPublic, password, parent: 0x81010016 });
      if (hash === "sha1") {
        await expect(wrap(area)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
        return;
      }
      // A PEM does not say what is unlike TCG's template.
      const isOdd = template.startsWith("rsa") && hash === "sha384";
      for (const ekPublic of isOdd ? [area] : [area, pem]) {
        const imported = await importPem(await wrap(ekPublic));
        expect(imported).toMatchObject({ verified: true });
        expect(parseTss2Pem(imported.pem).parent).toBe(0x81010016);
        expect(await tools.macHere({ pem: imported.pem, auth })).toBe(expected(day));
      }
    } finally {
      target.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81010016");
    }
  });

  test("the storage primary of the owner hierarchy, as the file's own parent", async () => {
    target.makePrimary();
    target.toolAndFlush("tpm2_readpublic", "-c", "primary.ctx", "-o", "primary.pub");
    const ekPublic = readFileSync(target.file("primary.pub"));
    await expect(wrapForTpm(key, { ekPublic })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining("parent must say"),
    });
    const { pem, verified } = await importPem(await wrapForTpm(key, { ekPublic, password, parent: "owner" }));
    expect(verified).toBe(true);
    expect(await tools.macHere({ pem, auth })).toBe(expected(day));
  });

  test("a certificate that says its key is for RSAES-OAEP, as some makers' do", async () => {
    endorsementKey("rsa");
    const { raw } = certificate();
    const oid = Buffer.from("2a864886f70d010101", "hex"); // rsaEncryption, which becomes id-RSAES-OAEP
    raw[raw.indexOf(oid) + oid.length - 1] = 7;
    expect(() => new X509Certificate(raw).publicKey).toThrow(); // which OpenSSL cannot read
    const imported = await importPem(await wrapForTpm(key, { ekPublic: raw, password }));
    expect(imported).toMatchObject({ parent: "ek-rsa", verified: true });
    expect(await tools.macHere({ ...placeOf(imported), auth })).toBe(expected(day));
  });

  test.each([40, 60, 61, 128, 508])("a secret of %i bytes", async (length) => {
    const long = "k".repeat(length);
    const file = await wrapForTpm(Buffer.from(long), { ekPublic: endorsementKey("ecc") });
    const imported = await importWrappedTpmKey(file, { tcti: target.tcti, output: "pem" });
    expect(imported.verified).toBe(true);
    expect(await tools.macHere(placeOf(imported))).toBe(expected(day, long));
  });

  test("the caller's secret and password stay as they are", async () => {
    const [given, word] = [Buffer.from(secret), Buffer.from(password)];
    await wrapForTpm(given, { ekPublic: endorsementKey("ecc"), password: word });
    expect([given.toString(), word.toString()]).toEqual([secret, password]);
  });

  test.each([
    [{ password }, ["userwithauth", "sign"]],
    [{}, ["userwithauth", "noda", "sign"]],
    [{ password, noDA: true }, ["userwithauth", "noda", "sign"]],
    [{ noDA: false }, ["userwithauth", "sign"]],
  ])("%j has the attributes %j, and cannot be duplicated", async (options, attributes) => {
    const ekPublic = endorsementKey("ecc");
    const file = await wrapForTpm(key, { ekPublic, ...options });
    const withAuth = "password" in options ? { auth } : {};
    await importWrappedTpmKey(file, { tcti: target.tcti, handle, ...withAuth });
    try {
      const shown = target.tool("tpm2_readpublic", "-c", "0x81008001");
      expect(/attributes:\n {2}value: (.*)\n/.exec(shown)?.[1]).toBe(attributes.join("|"));
      const word = "password" in options ? ["-p", password] : [];
      const duplicate = ["-C", "null", "-c", "0x81008001", "-G", "null", "-r", "out", "-s", "out.seed"];
      expect(() => target.tool("tpm2_duplicate", ...duplicate, ...word)).toThrow("Esys_Duplicate(0x124)");
      // TPM2_Duplicate wants a policy session that names it, and an empty policy is satisfied by none.
      target.tool("tpm2_startauthsession", "--policy-session", "-S", "dup.ctx");
      try {
        target.tool("tpm2_policycommandcode", "-S", "dup.ctx", "TPM2_CC_Duplicate");
        expect(() => target.tool("tpm2_duplicate", ...duplicate, "-p", "session:dup.ctx")).toThrow(
          "Esys_Duplicate(0x99D)",
        );
      } finally {
        target.tool("tpm2_flushcontext", "dup.ctx");
      }
    } finally {
      target.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
    }
  });

  test("a wrong password keeps nothing, none is asked for, and verify: false needs none", async () => {
    const file = await wrapForTpm(key, { ekPublic: endorsementKey("ecc"), password });
    const before = persistent();
    const place = { tcti: target.tcti, handle };
    await expect(importWrappedTpmKey(file, { ...place, auth: { password: "wrong" } })).rejects.toMatchObject({
      code: "ERR_TPM_AUTH",
      operation: "TPM2_HMAC",
    });
    await expect(importWrappedTpmKey(file, { tcti: "swtpm:port=1", handle })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringMatching(/auth .*verify: false/),
    });
    expect(persistent()).toBe(before);
    const imported = await importWrappedTpmKey(file, { tcti: target.tcti, output: "pem", verify: false });
    expect(imported.verified).toBe(false);
    expect(await tools.macHere({ ...placeOf(imported), auth })).toBe(expected(day));
  });

  test("another MAC than the file says keeps nothing; a file that says none is imported", async () => {
    const file = parseImportablePem(await wrapForTpm(key, { ekPublic: endorsementKey("rsa"), password }));
    const description = file.description ?? "";
    const wrong = description.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    const before = persistent();
    const place = { tcti: target.tcti, auth, handle };
    const refused = importWrappedTpmKey(formatImportablePem({ ...file, description: wrong }), place);
    await expect(refused).rejects.toMatchObject({ code: "ERR_IMPORT_VERIFY" });
    expect(persistent()).toBe(before);
    for (const text of [undefined, "a key of mine", description.slice(0, -2)]) {
      const pem = formatImportablePem({ ...file, description: text });
      const imported = await importPem(pem, { parent: "ek-rsa" });
      expect(imported.verified).toBe(false);
      expect(await tools.macHere({ ...placeOf(imported), auth })).toBe(expected(day));
    }
  });

  test("what openTpmKey says of such a file", async () => {
    const pem = await wrapForTpm(key, { ekPublic: endorsementKey("ecc"), password });
    await expect(target.open({ pem })).rejects.toMatchObject({
      code: "ERR_PEM_INVALID",
      message: expect.stringContaining("importWrappedTpmKey"),
    });
  });

  describe("with a policy", () => {
    const pcr23 = (): TpmPcrStep => {
      target.tool("tpm2_pcrread", "sha256:23", "-o", "pcrs");
      const digest = createHash("sha256")
        .update(readFileSync(target.file("pcrs")))
        .digest();
      return { pcr: { bank: "sha256", indices: [23], digest } };
    };
    const duplication = { duplicationSelect: { newParentName: `000b${"11".repeat(32)}` } };
    const extendPcr23 = (): string => target.tool("tpm2_pcrextend", `23:sha256=${"11".repeat(32)}`);
    const wrap = (policy: TpmPolicy, more: object = {}): Promise<string> =>
      wrapForTpm(key, { ekPublic: endorsementKey("ecc"), policy, ...more });
    const place = () => ({ tcti: target.tcti, output: "pem" }) as const;

    test("that alone allows its use: tpm2-tools satisfy it", async () => {
      const file = await wrap([pcr23()]);
      const imported = await importWrappedTpmKey(file, { tcti: target.tcti, handle });
      expect(imported).toMatchObject({ handle, verified: true });
      try {
        const shown = target.tool("tpm2_readpublic", "-c", "0x81008001");
        expect(/attributes:\n {2}value: (.*)\n/.exec(shown)?.[1]).toBe("noda|sign");
        writeFileSync(target.file("message"), day);
        const hmac = ["-c", "0x81008001", "-g", "sha256", "-o", "mac", "message"];
        expect(() => target.tool("tpm2_hmac", ...hmac)).toThrow("Esys_HMAC(0x12F)");
        target.tool("tpm2_startauthsession", "--policy-session", "-S", "pcr.ctx");
        target.tool("tpm2_policypcr", "-S", "pcr.ctx", "-l", "sha256:23");
        target.tool("tpm2_hmac", "-p", "session:pcr.ctx", ...hmac);
        target.tool("tpm2_flushcontext", "pcr.ctx");
        expect(readFileSync(target.file("mac")).toString("hex")).toBe(expected(day));
      } finally {
        target.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
      }
    });

    test("of PCRs: it opens with them, and not once they are others", async () => {
      const step = pcr23();
      const file = await wrap([step]);
      const imported = await importWrappedTpmKey(file, place());
      expect(imported.verified).toBe(true);
      const opened = await target.open({ ...placeOf(imported), policy: [step] });
      expect(await macOf(opened, day)).toBe(expected(day));
      extendPcr23();
      await expect(opened.mac(day)).rejects.toMatchObject({ code: "ERR_POLICY_UNSATISFIED" });
      await opened.close();
      const before = persistent();
      await expect(importWrappedTpmKey(file, { tcti: target.tcti, handle })).rejects.toMatchObject({
        code: "ERR_POLICY_UNSATISFIED",
      });
      expect(persistent()).toBe(before);
      const unverified = await importWrappedTpmKey(file, { ...place(), verify: false });
      expect(unverified.verified).toBe(false);
      target.tool("tpm2_pcrreset", "23");
      expect(await tools.macHere({ ...placeOf(unverified), policy: [step] })).toBe(expected(day));
    });

    const policies: [string, () => TpmPolicy][] = [
      ["PCRs and the password", () => [pcr23(), { authValue: true }]],
      ["PCRs or duplication", () => [{ or: [[pcr23()], [duplication]] }]],
      ["duplication or the password", () => [{ or: [[duplication], [{ authValue: true }]] }]],
    ];
    test.each(policies)("of %s, which the file has", async (_what, policyOf) => {
      const policy = policyOf();
      const file = await wrap(policy, { password });
      for (const given of [{}, { policy }]) {
        const imported = await importWrappedTpmKey(file, { ...place(), auth, ...given });
        expect(imported.verified).toBe(true);
        expect(await tools.macHere({ ...placeOf(imported), auth, policy })).toBe(expected(day));
      }
      if (JSON.stringify(policy).includes("authValue")) {
        await expect(importWrappedTpmKey(file, place())).rejects.toMatchObject({
          code: "ERR_TPM_AUTH",
        });
      }
    });

    test("that wants a password of something else, which no file has", async () => {
      const file = await wrap([{ secret: { object: "owner" } }]);
      target.tool("tpm2_changeauth", "-c", "owner", "owned");
      try {
        const policy = [{ secret: { object: "owner" as const, password: "owned" } }];
        const imported = await importWrappedTpmKey(file, { ...place(), policy });
        expect(imported.verified).toBe(true);
        expect(await tools.macHere({ ...placeOf(imported), policy })).toBe(expected(day));
        await expect(importWrappedTpmKey(file, place())).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
      } finally {
        target.tool("tpm2_changeauth", "-c", "owner", "-p", "owned");
      }
    });

    test("that is not the one in the options, or there is none", async () => {
      const wrong = { ...place(), auth, policy: [{ authValue: true as const }] };
      for (const file of [
        await wrap([pcr23()]),
        await wrapForTpm(key, { ekPublic: endorsementKey("ecc"), password }),
      ]) {
        await expect(importWrappedTpmKey(file, wrong)).rejects.toMatchObject({ code: "ERR_TPM_POLICY" });
      }
    });

    test("that nobody gives: the key is not asked", async () => {
      const policy = [pcr23()];
      const file = parseImportablePem(await wrap(policy));
      const silent = formatImportablePem({ ...file, policy: undefined });
      const imported = await importWrappedTpmKey(silent, place());
      expect(imported.verified).toBe(false);
      const told = await importWrappedTpmKey(silent, { ...place(), policy });
      expect(told.verified).toBe(true);
      expect(await tools.macHere({ ...placeOf(told), policy })).toBe(expected(day));
      expect(parseTss2Pem(told.pem).policies).toEqual(file.policies);
    });

    test("that TPM2_Duplicate satisfies: it can be duplicated once more", async () => {
      const file = await wrap([{ commandCode: "TPM2_Duplicate" }]);
      const imported = await importWrappedTpmKey(file, { tcti: target.tcti, handle, verify: false });
      expect(imported.verified).toBe(false);
      target.tool("tpm2_startauthsession", "--policy-session", "-S", "dup.ctx");
      try {
        target.tool("tpm2_policycommandcode", "-S", "dup.ctx", "TPM2_CC_Duplicate");
        const duplicate = ["-C", "null", "-c", "0x81008001", "-G", "null", "-r", "out", "-s", "out.seed"];
        target.tool("tpm2_duplicate", ...duplicate, "-p", "session:dup.ctx");
        expect(readFileSync(target.file("out")).includes(secret)).toBe(true);
      } finally {
        target.tool("tpm2_flushcontext", "dup.ctx");
        target.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
      }
    });
  });

  test.each(["rsa", "ecc"] as const)("what tpm2_duplicate wrapped in another TPM, for %s", async (kind) => {
    writeFileSync(other.file("ek.pub"), endorsementKey(kind));
    const policySession = (...args: string[]): void => {
      other.tool("tpm2_startauthsession", ...args, "-S", "dup.ctx");
      other.tool("tpm2_policycommandcode", "-S", "dup.ctx", "-L", "dup.policy", "TPM2_CC_Duplicate");
    };
    policySession();
    other.tool("tpm2_flushcontext", "dup.ctx");
    other.makePrimary();
    const made = [
      "-u",
      "k.pub",
      "-r",
      "k.priv",
      "-L",
      "dup.policy",
      "-a",
      "sensitivedataorigin|userwithauth|sign",
    ];
    other.toolAndFlush("tpm2_create", "-C", "primary.ctx", "-G", "hmac", "-g", "sha256", ...made);
    other.toolAndFlush("tpm2_load", "-C", "primary.ctx", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx");
    const theirs = toolsKey(other).theirMac();
    other.toolAndFlush("tpm2_loadexternal", "-C", "n", "-u", "ek.pub", "-c", "new-parent.ctx");
    policySession("--policy-session");
    const out = ["-G", "null", "-r", "duplicate", "-s", "seed", "-p", "session:dup.ctx"];
    other.tool("tpm2_duplicate", "-C", "new-parent.ctx", "-c", "k.ctx", ...out);
    other.tool("tpm2_flushcontext", "dup.ctx");
    other.tool("tpm2_flushcontext", "-t");
    const [publicArea = "", duplicate = "", seed = ""] = ["k.pub", "duplicate", "seed"].map((name) =>
      readFileSync(other.file(name)),
    );
    const file = formatImportablePem({
      ...{ publicArea, duplicate, seed, parent: 0x4000000b, primary: kind, emptyAuth: true },
    } as never);
    const imported = await importWrappedTpmKey(file, {
      ...{ tcti: target.tcti, output: "pem", parent: `ek-${kind}` },
    });
    expect(imported.verified).toBe(false);
    expect(await tools.macHere(placeOf(imported))).toBe(theirs);
  });
});
