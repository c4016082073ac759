import { randomBytes } from "node:crypto";
import path from "node:path";
import {
  importPkcs11Key,
  type ListedPkcs11Key,
  listPkcs11Keys,
  openKey,
  openPkcs11Key,
  type Pkcs11ImportOptions,
  removePkcs11Key,
} from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { runTool } from "../support/process.js";
import type { TestToken } from "../support/token.js";
import { expectSigns, hmac, importable, macOf, place } from "./suite.js";

/** What every token does with duplicates, lists and removals. */
export function provisioning(token: () => TestToken): void {
  const at = (): Pkcs11ImportOptions => ({ ...place(token()), pin: token().pin });
  const put = (key: string, options: Pkcs11ImportOptions) =>
    importPkcs11Key(Buffer.from(key), { ...at(), ...importable(token()), ...options });
  const list = async (label: string): Promise<ListedPkcs11Key[]> => {
    const { tokens } = await listPkcs11Keys(at());
    return tokens.flatMap(({ keys }) => keys).filter((key) => key.label === label);
  };

  test("a key of another label does not lose its place to one with its id", async () => {
    const id = randomBytes(8);
    await put(secret, { label: "first here", id });
    await expect(put("another", { label: "second here", id })).rejects.toMatchObject({
      code: "ERR_KEY_EXISTS",
      message: expect.stringContaining('"first here"'),
    });
    await expectSigns({ ...at(), label: "first here", id });
  });

  test("a key gives way to a new one of its label and id, and who signs with it signs on", async () => {
    const label = "replaced";
    const { id, uri } = await put(secret, { label });
    await using key = await openPkcs11Key({ ...at(), label });
    const message = randomBytes(8);
    expect(await macOf(key, message)).toBe(hmac(message));
    expect(await put("another", { label, id, replace: true })).toMatchObject({ uri, id });
    expect(await macOf(key, message)).toBe(hmac(message, "another"));
    expect(await list(label)).toEqual([expect.objectContaining({ id: Uint8Array.from(id) })]);
    await expectSigns({ ...at(), label, id }, "another");
  });

  test("a key is replaced by its label alone, or is new", async () => {
    const label = "by its label";
    const first = await put(secret, { label, replace: true });
    const second = await put("another", { label, replace: true });
    expect(second.id).not.toEqual(first.id);
    expect((await list(label)).map(({ id }) => Buffer.from(id))).toEqual([second.id]);
    await expectSigns({ ...at(), label }, "another");
  });

  test("none of several keys is replaced", async () => {
    const label = "two to replace";
    for (const id of [Buffer.of(0x71), Buffer.of(0x72)]) await put(secret, { label, id });
    await expect(put("another", { label, replace: true })).rejects.toMatchObject({
      code: "ERR_KEY_AMBIGUOUS",
      message: expect.stringMatching(/0x71.*0x72|0x72.*0x71/),
    });
    expect(await list(label)).toHaveLength(2);
  });

  test("a list shows the token and, after a login, its keys", async () => {
    const { id } = await put(secret, { label: "listed" });
    const { module, tokenLabel, initArgs, pin } = token();
    const { pin: _, ...withoutPin } = at();
    for (const login of [{}, { pin }]) {
      const listing = await listPkcs11Keys({ ...withoutPin, ...login });
      expect(listing).toEqual({
        tokens: [
          {
            module: expect.stringContaining(path.basename(module)), // p11-kit may follow links
            tokenLabel,
            serial: expect.any(String),
            manufacturer: expect.stringMatching(/./),
            model: expect.stringMatching(/./),
            slotId: expect.any(Number),
            loginRequired: true,
            loggedIn: "pin" in login,
            pinState: "ok",
            keys: expect.any(Array),
          },
        ],
        broken: "",
      });
      expect(JSON.stringify(listing)).not.toContain(pin);
      expect(JSON.stringify(listing)).not.toContain(secret);
      const found = listing.tokens.flatMap(({ keys }) => keys).filter(({ label }) => label === "listed");
      expect(found).toHaveLength("pin" in login ? 1 : 0);
      for (const { uri, attributes, ...key } of found) {
        expect(key).toEqual({
          label: "listed",
          id: Uint8Array.from(id),
          keyType: "CKK_GENERIC_SECRET",
          usableForAws4: true,
        });
        expect(attributes).toEqual(
          expect.arrayContaining(["CKA_TOKEN", "CKA_PRIVATE", "CKA_SENSITIVE", "CKA_SIGN"]),
        );
        expect(attributes).not.toContain("CKA_EXTRACTABLE");
        expect(attributes).not.toContain("CKA_DERIVE");
        await using opened = await openKey(uri, { pin, ...(initArgs !== undefined && { initArgs }) });
        expect(await macOf(opened, Buffer.from("20261123"))).toBe(hmac(Buffer.from("20261123")));
      }
    }
  });

  // openCryptoki gives the number of an object that is gone to the next one.
  test.each([
    ["this process", async (label: string) => removePkcs11Key({ ...at(), label })],
    [
      "another process",
      async (label: string) => {
        const remove = `require(process.env.LIBRARY).removePkcs11Key(JSON.parse(process.env.OPTIONS))`;
        const LIBRARY = path.join(__dirname, "..", "..", "dist");
        const OPTIONS = JSON.stringify({ ...at(), label });
        await runTool(process.execPath, ["-e", remove], { env: { ...token().env, LIBRARY, OPTIONS } });
      },
    ],
  ])("a key that %s removed signs no more, and no other in its place", async (_who, remove) => {
    const label = `gone ${randomBytes(4).toString("hex")}`;
    await put(secret, { label });
    await using key = await openPkcs11Key({ ...at(), label });
    await using threads = await openPkcs11Key({ ...at(), label, threads: 4 });
    const message = randomBytes(8);
    const macs = (): Promise<string[]> =>
      Promise.all(Array.from({ length: 16 }, (_, i) => macOf(i % 2 === 0 ? key : threads, message)));
    expect(new Set(await macs())).toEqual(new Set([hmac(message)]));
    await remove(label);
    const heirs = Array.from({ length: 4 }, (_, i) => ({ label: `heir of ${label} ${i}` }));
    for (const heir of heirs) await put("another", heir);
    for (const open of [key, threads, key, threads]) {
      await expect(macOf(open, message)).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    }
    for (const heir of heirs) await removePkcs11Key({ ...at(), ...heir });
  });

  test("exactly one key is removed, or none", async () => {
    const label = "to remove";
    const ids = [Buffer.of(0x81), Buffer.of(0x82)];
    for (const id of ids) await put(secret, { label, id });
    await expect(removePkcs11Key({ ...at(), label })).rejects.toMatchObject({
      code: "ERR_KEY_AMBIGUOUS",
      message: expect.stringMatching(/0x81.*0x82|0x82.*0x81/),
    });
    await removePkcs11Key({ ...at(), label, id: Buffer.of(0x81) });
    expect((await list(label)).map(({ id }) => Buffer.from(id))).toEqual([Buffer.of(0x82)]);
    const { pin: _, ...withoutPin } = at();
    await expect(removePkcs11Key({ ...withoutPin, label })).rejects.toMatchObject({
      code: "ERR_PIN_REQUIRED",
    });
    await removePkcs11Key({ ...at(), label });
    await expect(removePkcs11Key({ ...at(), label })).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(removePkcs11Key(at())).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });
}
