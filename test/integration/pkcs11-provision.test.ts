import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import {
  importPkcs11Key,
  type ListedPkcs11Key,
  listPkcs11Keys,
  type Pkcs11ImportOptions,
  removePkcs11Key,
} from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { temporaryFolder } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";
import { pkcs11Tool } from "../support/token.js";
import { expectSigns } from "../tokens/suite.js";

/** Of CK_ATTRIBUTE_TYPE (PKCS#11 3.0, A). */
const attributes = {
  CKA_TOKEN: "0x1",
  CKA_PRIVATE: "0x2",
  CKA_SENSITIVE: "0x103",
  CKA_ENCRYPT: "0x104",
  CKA_DECRYPT: "0x105",
  CKA_WRAP: "0x106",
  CKA_UNWRAP: "0x107",
  CKA_SIGN: "0x108",
  CKA_VERIFY: "0x10a",
  CKA_DERIVE: "0x10c",
  CKA_EXTRACTABLE: "0x162",
};
const modulus = "0x120";
const typeInvalid = "0x12";
const valueInvalid = "0x13";
const inconsistent = "0xd1";

describeWith(["softhsm", "opensc"], "putting keys into a PKCS#11 token", () => {
  let hsm: SoftHsm;
  let proxy: ProxyModule;
  let at: { module: string; tokenLabel: string; pin: string };
  let labels = 0;
  const { folder, remove } = temporaryFolder("provision");

  beforeAll(async () => {
    hsm = await makeSoftHsm("provision");
    proxy = await makeProxyModule(hsm.module);
    at = { module: proxy.module, tokenLabel: "provision", pin: hsm.pin };
  });
  afterEach(() => proxy.instruct());
  afterAll(() => {
    proxy.remove();
    hsm.remove();
    remove();
  });

  const put = (options: Partial<Pkcs11ImportOptions>, key = secret) =>
    importPkcs11Key(Buffer.from(key), { ...at, label: "signer", ...options });
  const tool = (...args: string[]): Promise<string> => pkcs11Tool(hsm, args, hsm.pin);
  const failure = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => "done",
      (error: unknown) => error,
    );
  /** A label that nothing has. */
  const fresh = (): string => `key ${++labels}.`;
  const list = async (label: string): Promise<ListedPkcs11Key[]> => {
    const { tokens } = await listPkcs11Keys(at);
    return tokens.flatMap(({ keys }) => keys).filter((key) => key.label === label);
  };
  /** What pkcs11-tool says of the objects with this label. */
  const objects = async (label: string): Promise<string[]> =>
    (await tool("--list-objects"))
      .split(/^(?=\S)/m)
      .filter((text) => text.includes(`label:      ${label}\n`));
  /** Its lines with the label of a data object; newer versions have the label in a URI too. */
  const dataObjects = async (label: string): Promise<string[]> =>
    (await tool("--list-objects", "--type", "data"))
      .split("\n")
      .filter((line) => new RegExp(`^ *label: +'${label}'$`).test(line));
  /** The calls that `act` makes. */
  const callsOf = async (act: () => Promise<unknown>): Promise<string[]> => {
    const before = proxy.calls().length;
    await act();
    return proxy.calls().slice(before);
  };

  describe("a module that refuses an attribute", () => {
    test.each([
      ["CKA_VERIFY", typeInvalid],
      ["CKA_ENCRYPT", valueInvalid],
      ["CKA_DECRYPT", inconsistent],
      ["CKA_WRAP", typeInvalid],
      ["CKA_UNWRAP", "0x10"],
    ] as const)("is not told %s, and all the others", async (name, code) => {
      const label = fresh();
      proxy.instruct(`refuse ${attributes[name]} ${code}`);
      const { leftOut } = await put({ label });
      expect(leftOut).toEqual([name]);
      await expectSigns({ ...at, label });
      const [{ attributes: set } = { attributes: [] }] = await list(label);
      expect(set).toEqual(expect.arrayContaining(["CKA_TOKEN", "CKA_PRIVATE", "CKA_SENSITIVE", "CKA_SIGN"]));
      const told = ["CKA_VERIFY", "CKA_ENCRYPT", "CKA_DECRYPT", "CKA_WRAP", "CKA_UNWRAP", "CKA_DERIVE"];
      expect(told.filter((other) => other !== name && (set as string[]).includes(other))).toEqual([]);
      expect(set).not.toContain("CKA_EXTRACTABLE");
    });

    test("is not told two that it refuses, be it in the clear or encrypted", async () => {
      proxy.instruct(
        `refuse ${attributes.CKA_VERIFY} ${typeInvalid}`,
        `refuse ${attributes.CKA_UNWRAP} 0x10`,
      );
      for (const wrapped of [undefined, "rsa-oaep"] as const) {
        const label = fresh();
        expect((await put({ label, wrapped })).leftOut).toEqual(["CKA_VERIFY", "CKA_UNWRAP"]);
        await expectSigns({ ...at, label });
      }
    });

    test("gets no key that others could be derived from", async () => {
      const label = fresh();
      proxy.instruct(`refuse ${attributes.CKA_DERIVE} ${typeInvalid}`, `tell ${attributes.CKA_DERIVE} 1`);
      expect(await failure(put({ label }))).toMatchObject({
        code: "ERR_KEY_READABLE",
        message: expect.stringContaining("CKA_DERIVE"),
      });
      proxy.instruct();
      expect(await objects(label)).toEqual([]);
    });

    test.each(["CKA_TOKEN", "CKA_PRIVATE", "CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_SIGN"] as const)(
      "gets no key without %s",
      async (name) => {
        const label = fresh();
        for (const wrapped of [undefined, "rsa-oaep"] as const) {
          proxy.instruct(`refuse ${attributes[name]} ${typeInvalid}`);
          expect(await failure(put({ label, wrapped }))).toMatchObject({
            code: "ERR_PKCS11",
            rvName: "CKR_ATTRIBUTE_TYPE_INVALID",
            operation: wrapped ? "C_UnwrapKey" : "C_CreateObject",
          });
          proxy.instruct();
          expect(await objects(label)).toEqual([]);
        }
      },
    );

    test("another answer is not taken for a refusal", async () => {
      proxy.instruct("fail C_CreateObject 0x31");
      const calls = await callsOf(() => failure(put({ label: fresh() })));
      expect(calls.filter((call) => call === "C_CreateObject")).toHaveLength(1);
    });

    test("makes a CKK_SHA256_HMAC key where it makes no HMACs with the other type", async () => {
      const label = fresh();
      proxy.instruct("fail C_SignInit 0x63 1"); // CKR_KEY_TYPE_INCONSISTENT
      await put({ label });
      expect(await list(label)).toMatchObject([{ keyType: "CKK_SHA256_HMAC", usableForAws4: true }]);
      await expectSigns({ ...at, label });
    });
  });

  describe("a key that is not as it should be goes again", () => {
    test.each([
      ["CKA_SENSITIVE", 0, "ERR_KEY_READABLE"],
      ["CKA_PRIVATE", 0, "ERR_IMPORT_VERIFY"],
      ["CKA_TOKEN", 0, "ERR_IMPORT_VERIFY"],
      ["CKA_EXTRACTABLE", 1, "ERR_KEY_WRAPPABLE"],
    ] as const)("%s = %d: %s", async (name, value, code) => {
      const label = fresh();
      proxy.instruct(`tell ${attributes[name]} ${value}`);
      expect(await failure(put({ label }))).toMatchObject({ code });
      proxy.instruct();
      expect(await objects(label)).toEqual([]);
    });

    test("and where it stays, the error says so, why, and which", async () => {
      const label = fresh();
      proxy.instruct(`tell ${attributes.CKA_EXTRACTABLE} 1`, "fail C_DestroyObject 0x30");
      expect(await failure(put({ label, id: Buffer.of(0xab, 0xcd) }))).toMatchObject({
        operation: "C_DestroyObject",
        message: expect.stringMatching(/id 0xabcd .*yourself: .*wrapped by another key/),
      });
    });

    test("extractable and kept where that is allowed", async () => {
      proxy.instruct(`tell ${attributes.CKA_EXTRACTABLE} 1`);
      expect(await put({ label: fresh(), allowWrapping: true })).toMatchObject({
        extractable: true,
        wrappable: false,
      });
    });

    test.each([
      ["CKM_AES_KEY_WRAP_KWP", "0x210b"],
      ["CKM_AES_KEY_WRAP_PAD", "0x210a"],
      ["CKM_AES_KEY_WRAP", "0x2109"],
      ["CKM_AES_CBC_PAD", "0x1085"],
      ["CKM_AES_CBC", "0x1082"],
      ["CKM_AES_ECB", "0x1081"],
      ["CKM_RSA_PKCS", "0x1"],
      ["CKM_RSA_PKCS_OAEP", "0x9"],
    ])("given out by %s", async (_, mechanism) => {
      const label = fresh();
      proxy.instruct(`wrap ${mechanism}`);
      expect(await failure(put({ label }))).toMatchObject({ code: "ERR_KEY_WRAPPABLE" });
      expect(await objects(label)).toEqual([]);
      expect(await put({ label, allowWrapping: true })).toMatchObject({
        extractable: false,
        wrappable: true,
      });
    });

    test("tried with an RSA key where the token makes no AES key", async () => {
      proxy.instruct("fail C_GenerateKey 0x70");
      expect(await put({ label: fresh() })).toMatchObject({ wrappable: false });
      proxy.instruct("fail C_GenerateKey 0x70", "wrap 0x1");
      expect(await failure(put({ label: fresh() }))).toMatchObject({ code: "ERR_KEY_WRAPPABLE" });
    });

    test("not tried where the token makes no key to wrap with", async () => {
      proxy.instruct("fail C_GenerateKey 0x70", `refuse ${modulus} ${typeInvalid}`);
      const imported = await put({ label: fresh() });
      expect(imported).toMatchObject({ extractable: false });
      expect(imported).not.toHaveProperty("wrappable");
    });

    test("the keys that were made for an import alone are gone", async () => {
      const label = fresh();
      await put({ label, wrapped: "rsa-oaep" });
      expect(await tool("--list-objects")).not.toMatch(/Private Key|Public Key|AES/);
    });
  });

  describe("an encrypted secret", () => {
    const kek = randomBytes(32);
    const rsa = { label: "rsa kek", id: Buffer.of(0x11) };
    const aes = { label: "aes kek", id: Buffer.of(0x12) };

    beforeAll(async () => {
      const file = path.join(folder, "kek");
      writeFileSync(file, kek, { mode: 0o600 });
      const named = ({ label, id }: typeof rsa): string[] => ["--label", label, "--id", id.toString("hex")];
      await tool("--keypairgen", "--key-type", "rsa:2048", "--usage-wrap", ...named(rsa));
      await tool(
        "--write-object",
        file,
        "--type",
        "secrkey",
        "--key-type",
        "AES:32",
        "--usage-wrap",
        ...named(aes),
      );
    });
    afterAll(async () => {
      for (const { id } of [rsa, aes]) {
        for (const type of ["privkey", "pubkey", "secrkey"]) {
          await failure(tool("--delete-object", "--type", type, "--id", id.toString("hex")));
        }
      }
    });

    test.each<[string, () => Pkcs11ImportOptions["wrapped"]]>([
      ["an RSA pair made for it", () => "rsa-oaep"],
      ["the same, at length", () => ({ method: "rsa-oaep" })],
      ["a named RSA key", () => ({ method: "rsa-oaep", ...rsa })],
      ["an RSA key named by its label", () => ({ method: "rsa-oaep", label: rsa.label })],
      ["a named AES key", () => ({ method: "aes-kwp", id: aes.id, value: kek })],
    ])("goes under %s, never in the clear", async (_, wrapped) => {
      for (const key of [secret, "s", "x".repeat(100)]) {
        const label = fresh();
        const calls = await callsOf(() => put({ label, wrapped: wrapped() }, key));
        expect(calls).toContain("C_UnwrapKey");
        // Later it makes a key to wrap with.
        expect(calls.slice(0, calls.indexOf("C_SignInit"))).not.toContain("C_CreateObject");
        await expectSigns({ ...at, label }, key);
      }
      expect(kek).not.toEqual(Buffer.alloc(32));
    });

    test("under another AES key than the token's is no key", async () => {
      const label = fresh();
      const wrapped = { method: "aes-kwp", ...aes, value: randomBytes(32) } as const;
      expect(await failure(put({ label, wrapped }))).toMatchObject({ operation: "C_UnwrapKey" });
      expect(await objects(label)).toEqual([]);
    });

    test.each<[Pkcs11ImportOptions["wrapped"], string, RegExp]>([
      [
        { method: "rsa-oaep", label: "none" },
        "ERR_KEY_NOT_FOUND",
        /no RSA private key with label "none" to unwrap with/,
      ],
      [{ method: "aes-kwp", label: "none", value: randomBytes(16) }, "ERR_KEY_NOT_FOUND", /no AES key/],
      [{ method: "aes-kwp", label: "a", value: randomBytes(15) }, "ERR_INVALID_ARGUMENT", /wrapped\.value/],
      [{ method: "aes-kwp", value: kek }, "ERR_INVALID_ARGUMENT", /wrapped\.label or wrapped\.id/],
      [{ method: "rsa-oaep", label: "" }, "ERR_INVALID_ARGUMENT", /wrapped\.label/],
      [{ method: "rsa-oaep", id: new Uint8Array() }, "ERR_INVALID_ARGUMENT", /wrapped\.id/],
      ["des" as "rsa-oaep", "ERR_INVALID_ARGUMENT", /wrapped/],
      [null as unknown as "rsa-oaep", "ERR_INVALID_ARGUMENT", /wrapped/],
    ])("%#: names what is wrong", async (wrapped, code, message) => {
      expect(await failure(put({ label: fresh(), wrapped }))).toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    });

    test("is too long for a small RSA key, and says so", async () => {
      const error = await failure(
        put({ label: fresh(), wrapped: { method: "rsa-oaep", ...rsa } }, "x".repeat(250)),
      );
      expect(error).toMatchObject({
        code: "ERR_KEY_UNSUITABLE",
        message: expect.stringContaining("254 bytes"),
      });
    });
  });

  describe("a replacement that stops half-way", () => {
    test("at the new key: the old one is as it was", async () => {
      const label = fresh();
      const { id } = await put({ label });
      for (const instruction of [
        "fail C_CreateObject 0x31",
        "fail C_SignInit 0x30",
        "fail C_SetAttributeValue 0x10",
      ]) {
        proxy.instruct(instruction);
        expect(await failure(put({ label, id, replace: true }, "another"))).toMatchObject({
          name: "Pkcs11Error",
        });
        proxy.instruct();
        expect(await objects(label)).toHaveLength(1);
        await expectSigns({ ...at, label, id });
      }
    });

    test("at the old key: both are there, told apart, and the error names them", async () => {
      const label = fresh();
      const { id } = await put({ label });
      proxy.instruct("fail C_DestroyObject 0x30 1");
      const calls = await callsOf(async () => {
        proxy.instruct(`fail C_GenerateKey 0x70`, "fail C_DestroyObject 0x30");
        const error = await failure(put({ label, id, replace: true }, "another"));
        expect(error).toMatchObject({ operation: "C_DestroyObject" });
        const [, newId, oldId] = /id 0x(\w+).*id 0x(\w+)/.exec(String(error)) ?? [];
        proxy.instruct();
        expect(oldId).toBe(Buffer.from(id).toString("hex"));
        await expectSigns({ ...at, label, id });
        await expectSigns({ ...at, label, id: Buffer.from(String(newId), "hex") }, "another");
      });
      expect(calls).toContain("C_DestroyObject");
      expect(await objects(label)).toHaveLength(2);
    });

    test("in the middle: the new key is there before the old one goes", async () => {
      const label = fresh();
      await put({ label });
      proxy.instruct("hang C_DestroyObject", "fail C_GenerateKey 0x70");
      expect(await failure(put({ label, replace: true, timeout: 500 }, "another"))).toMatchObject({
        code: "ERR_TIMEOUT",
      });
      expect(await objects(label)).toHaveLength(2);
      proxy.instruct();
    });
  });

  describe("lists and removals", () => {
    test("a PIN is sent to no token where several match", async () => {
      await hsm.addToken("beside");
      const { tokenLabel: _, ...module } = at;
      const calls = await callsOf(async () => {
        expect(await failure(listPkcs11Keys({ module: module.module, pin: hsm.pin }))).toMatchObject({
          code: "ERR_TOKEN_AMBIGUOUS",
          message: expect.stringMatching(/"provision".*"beside"|"beside".*"provision"/),
        });
      });
      expect(calls).not.toContain("C_Login pin");
      const { tokens } = await listPkcs11Keys({ module: module.module });
      expect(tokens.map(({ tokenLabel }) => tokenLabel).sort()).toEqual(["beside", "provision"]);
      expect(tokens.flatMap(({ keys }) => keys)).toEqual([]);
    });

    test.each([
      ["0x10000", "count-low"],
      ["0x30000", "final-try"],
      ["0x70000", "locked"],
    ])("flags %s: the PIN's state is %s, told before one is sent", async (flags, pinState) => {
      proxy.instruct(`set ${flags}`);
      const calls = await callsOf(async () => {
        const { tokens } = await listPkcs11Keys({ ...at, pin: undefined });
        expect(tokens).toMatchObject([{ pinState, loginRequired: true }]);
      });
      expect(calls).not.toContain("C_Login pin");
    });

    test("all of p11-kit's modules are listed where none is named", async () => {
      const { tokens } = await listPkcs11Keys();
      expect(tokens).toContainEqual(expect.objectContaining({ tokenLabel: "provision", serial: hsm.serial }));
      expect((await listPkcs11Keys({ module: hsm.module, serial: "none" })).tokens).toEqual([]);
    });

    test("public keys show without a login; keys that cannot sign are told", async () => {
      const make = ["--keygen", "--key-type", "GENERIC:32"];
      await pkcs11Tool(hsm, [...make, "--label", "public", "--usage-sign"], hsm.pin);
      const [{ keys } = { keys: [] }] = (await listPkcs11Keys({ ...at, pin: undefined })).tokens;
      expect(keys).toMatchObject([{ label: "public", id: new Uint8Array(), usableForAws4: true }]);
      proxy.instruct(`tell ${attributes.CKA_SIGN} 0`);
      expect((await list("public"))[0]).toMatchObject({ usableForAws4: false });
      proxy.instruct();
      await expectSignsByUri(keys[0]?.uri);
      await removePkcs11Key({ ...at, label: "public" });
    });

    async function expectSignsByUri(uri: string | undefined): Promise<void> {
      expect(uri).toContain("object=public;type=secret-key");
      expect(
        await failure(removePkcs11Key({ uri: String(uri), pin: hsm.pin, id: Buffer.of(9) })),
      ).toMatchObject({
        code: "ERR_KEY_NOT_FOUND",
      });
    }

    test("what is no HMAC key is removed by force alone", async () => {
      const file = path.join(folder, "data");
      writeFileSync(file, "data");
      await tool("--write-object", file, "--type", "data", "--label", "no key");
      await tool("--keygen", "--key-type", "AES:32", "--label", "no hmac key", "--id", "77");
      for (const label of ["no key", "no hmac key"]) {
        expect(await failure(removePkcs11Key({ ...at, label }))).toMatchObject({
          code: "ERR_KEY_UNSUITABLE",
          message: expect.stringContaining("force"),
        });
        expect(await tool("--list-objects")).toContain(`'${label}'`.slice(1, -1));
        await removePkcs11Key({ ...at, label, force: true });
        expect(await tool("--list-objects")).not.toContain(label);
      }
    });

    test("force does not take one of several", async () => {
      const file = path.join(folder, "data");
      for (const application of ["one", "two"]) {
        await tool(
          "--write-object",
          file,
          "--type",
          "data",
          "--label",
          "twins",
          "--application-label",
          application,
        );
      }
      expect(await failure(removePkcs11Key({ ...at, label: "twins", force: true }))).toMatchObject({
        code: "ERR_KEY_AMBIGUOUS",
      });
      expect(await dataObjects("twins")).toHaveLength(2);
    });

    test("beside something else of its label, the HMAC key alone goes", async () => {
      const label = "twins";
      await put({ label });
      await removePkcs11Key({ ...at, label });
      expect(await list(label)).toEqual([]);
      expect(await dataObjects("twins")).toHaveLength(2);
    });

    test.each([
      [{ replace: 1 as unknown as boolean }, "replace"],
      [{ allowWrapping: "yes" as unknown as boolean }, "allowWrapping"],
    ])("%j is refused by name", async (options, name) => {
      expect(await failure(put(options))).toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringContaining(name),
      });
    });
  });
});
