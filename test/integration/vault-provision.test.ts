import { createHmac, generateKeyPairSync } from "node:crypto";
import { openKey } from "../../lib/keys/open-key.js";
import { openVaultKey } from "../../lib/keys/vault.js";
import { removeVaultKey } from "../../lib/provision/vault/housekeeping.js";
import { importVaultKey, type VaultImportOptions } from "../../lib/provision/vault.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { type Bao, startBao } from "../support/bao.js";
import { type Front, startFront } from "../support/front.js";
import { describeWith } from "../support/requirements.js";
import { vaultFailure } from "../support/vault-failure.js";

const message = Buffer.from("20261123");
const macWith = (key: string): string => createHmac("sha256", key).update(message).digest("hex");

describeWith(["openbao"], "keys imported into Transit", () => {
  let bao: Bao;
  let front: Front;
  let count = 0;
  const freeName = (): string => `key-${++count}`;

  beforeAll(async () => {
    bao = await startBao();
    front = await startFront(bao.port);
  });
  afterAll(async () => {
    await front?.stop();
    await bao?.stop();
  });
  beforeEach(() => {
    front.seen.length = 0;
    front.treat((_, __, pass) => pass());
  });

  const place = (options: Partial<VaultImportOptions> = {}) => ({
    ...{ address: front.address, token: bao.token, name: freeName() },
    ...options,
  });
  const put = (options: Partial<VaultImportOptions> = {}, key = secret) =>
    importVaultKey(Buffer.from(key), place(options));
  /** The MAC that the server gives to others, with a version of a key. */
  const macOf = async (name: string, version: number, mount = "transit"): Promise<string> => {
    const body = { input: message.toString("base64"), key_version: version };
    const { data } = await bao.call(`${mount}/hmac/${name}/sha2-256`, { body });
    return Buffer.from(data.hmac.split(":")[2], "base64").toString("hex");
  };
  const attributes = async (name: string) => (await bao.call(`transit/keys/${name}`)).data;
  const isThere = (name: string): Promise<boolean> =>
    attributes(name).then(
      () => true,
      ({ status }) => {
        expect(status).toBe(404);
        return false;
      },
    );
  test("give the MACs that the secret gives, and do not come out", async () => {
    const own = Buffer.from(secret);
    const options = place();
    const imported = await importVaultKey(own, options);
    expect(own.toString()).toBe(secret);
    const { name, address } = options;
    const reference = `vault:${address}/transit/${name}?version=1`;
    expect(imported).toEqual({ reference, address, mount: "transit", name, keyVersion: 1 });
    expect(await macOf(name, 1)).toBe(macWith(`AWS4${secret}`));
    const told = { type: "hmac", exportable: false, allow_plaintext_backup: false, imported_key: true };
    expect(await attributes(name)).toMatchObject({ ...told, imported_key_allow_rotation: false });
    await expect(bao.call(`transit/export/hmac-key/${name}`)).rejects.toMatchObject({ status: 400 });
    await expect(bao.call(`transit/backup/${name}`)).rejects.toMatchObject({ status: 500 });
    await expect(bao.call(`transit/keys/${name}/rotate`, { body: {} })).rejects.toMatchObject({
      status: 500,
    });
  });

  test("send nothing of the secret in clear", async () => {
    await put();
    const sent = front.seen.map(({ url, body }) => url + body).join("\n");
    expect(sent).toContain("ciphertext");
    for (const text of [secret, `AWS4${secret}`]) {
      for (const encoding of ["utf8", "base64", "hex"] as const) {
        expect(sent).not.toContain(Buffer.from(text).toString(encoding).replace(/=+$/, ""));
      }
    }
  });

  test("are opened with what the import gives, as it is and by its reference", async () => {
    const imported = await put();
    for (const open of [
      () => openVaultKey({ ...imported, token: bao.token }),
      () => openKey(imported.reference, { token: bao.token }),
    ]) {
      await using key = await open();
      expect(Buffer.from(await key.mac(message)).toString("hex")).toBe(macWith(`AWS4${secret}`));
    }
  });

  test("for SigV4a", async () => {
    const { name } = await put({ algorithm: "sigv4a" });
    expect(await macOf(name, 1)).toBe(macWith(`AWS4A${secret}`));
  });

  test.each([1, 27, 28, 29, 508])("of a secret of %d characters", async (length) => {
    const key = "k".repeat(length);
    const { name } = await put({}, key);
    expect(await macOf(name, 1)).toBe(macWith(`AWS4${key}`));
  });

  test("at another mount, and in a namespace", async () => {
    await bao.call("sys/mounts/team/transit", { body: { type: "transit" } });
    const deep = await put({ mount: "/team/transit/" });
    expect(deep).toMatchObject({ mount: "team/transit" });
    expect(deep.reference).toContain(`/team/transit/${deep.name}?version=1`);
    expect(await macOf(deep.name, 1, "team/transit")).toBe(macWith(`AWS4${secret}`));

    await bao.call("sys/namespaces/group", { body: {} });
    await bao.call("sys/namespaces/a", { body: {}, namespace: "group" });
    await bao.call("sys/mounts/transit", { body: { type: "transit" }, namespace: "group/a" });
    const inside = await put({ namespace: "group/a/" });
    expect(inside).toMatchObject({ namespace: "group/a" });
    expect(inside.reference).toMatch(/\?version=1&namespace=group%2Fa$/);
    expect(await isThere(inside.name)).toBe(false);
    await using key = await openKey(inside.reference, { token: bao.token });
    expect(Buffer.from(await key.mac(message)).toString("hex")).toBe(macWith(`AWS4${secret}`));
  });

  describe("where the key is there already", () => {
    const other = `${secret.slice(1)}z`;

    test("nothing is changed, unless a new version is asked for", async () => {
      const options = place();
      await importVaultKey(Buffer.from(secret), options);
      const error = await vaultFailure(importVaultKey(Buffer.from(other), options));
      expect(error).toMatchObject({ code: "ERR_KEY_EXISTS" });
      expect(error.message).toContain("newVersion");
      expect(await attributes(options.name)).toMatchObject({ latest_version: 1 });
    });

    test("a new version leaves the earlier ones to their signers", async () => {
      const options = place();
      await importVaultKey(Buffer.from(secret), options);
      const imported = await importVaultKey(Buffer.from(other), { ...options, newVersion: true });
      expect(imported.keyVersion).toBe(2);
      expect(imported.reference).toContain("?version=2");
      expect(await macOf(options.name, 1)).toBe(macWith(`AWS4${secret}`));
      expect(await macOf(options.name, 2)).toBe(macWith(`AWS4${other}`));
      await using key = await openVaultKey(options);
      expect(Buffer.from(await key.mac(message)).toString("hex")).toBe(macWith(`AWS4${secret}`));

      await removeVaultKey({ ...options, versionsBefore: 2 });
      await expect(key.mac(message)).rejects.toMatchObject({ code: "ERR_VAULT_VERSION" });
      expect(await macOf(options.name, 2)).toBe(macWith(`AWS4${other}`));
      expect(await attributes(options.name)).toMatchObject({ min_available_version: 2 });
      await expect(removeVaultKey({ ...options, versionsBefore: 3 })).rejects.toMatchObject({
        code: "ERR_VAULT_VERSION",
      });
    });

    test("a replacement removes them", async () => {
      const options = { ...place(), replace: true };
      expect(await importVaultKey(Buffer.from(secret), options)).toMatchObject({ keyVersion: 1 });
      expect(await importVaultKey(Buffer.from(other), options)).toMatchObject({ keyVersion: 2 });
      expect(await macOf(options.name, 2)).toBe(macWith(`AWS4${other}`));
      await expect(macOf(options.name, 1)).rejects.toMatchObject({ status: 400 });
      expect(await attributes(options.name)).toMatchObject({ min_available_version: 2 });
    });

    test.each([
      ["made by the server", { type: "hmac", key_size: 32 }, "ERR_KEY_UNSUITABLE"],
      ["of another type", { type: "aes256-gcm96" }, "ERR_KEY_UNSUITABLE"],
    ])("but not of a key that was %s", async (_, body, code) => {
      const options = place({ newVersion: true });
      await bao.call(`transit/keys/${options.name}`, { body });
      await expect(importVaultKey(Buffer.from(secret), options)).rejects.toMatchObject({ code });
      expect(await attributes(options.name)).toMatchObject({ latest_version: 1 });
    });

    test.each(["exportable", "allow_plaintext_backup"])("but not of one that is %s", async (attribute) => {
      const options = place();
      await importVaultKey(Buffer.from(secret), options);
      await bao.call(`transit/keys/${options.name}/config`, { body: { [attribute]: true } });
      const again = importVaultKey(Buffer.from(other), { ...options, replace: true });
      await expect(again).rejects.toMatchObject({ code: "ERR_KEY_READABLE" });
      expect(await attributes(options.name)).toMatchObject({ latest_version: 1 });
    });
  });

  describe("leave nothing behind when they cannot be proved", () => {
    /** Changes the bodies of some calls on their way, as a server that does something else would. */
    const change = (where: RegExp, how: (body: Record<string, unknown>) => object): void =>
      front.treat((seen, _, pass) => {
        if (where.test(seen.url) && seen.body !== "") {
          seen.body = JSON.stringify(how(JSON.parse(seen.body)));
          seen.headers["content-length"] = String(Buffer.byteLength(seen.body));
        }
        pass();
      });

    test("an exportable key", async () => {
      change(/\/import$/, (body) => ({ ...body, exportable: true }));
      const options = place();
      const error = await vaultFailure(importVaultKey(Buffer.from(secret), options));
      expect(error).toMatchObject({ code: "ERR_KEY_READABLE" });
      expect(error.message).toMatch(/deleted again$/);
      expect(await isThere(options.name)).toBe(false);
    });

    test("a key that gives another MAC, with the version", async () => {
      change(/\/verify\//, (body) => ({ ...body, input: "AAAA" }));
      const options = place();
      const error = await vaultFailure(importVaultKey(Buffer.from(secret), options));
      expect(error).toMatchObject({ code: "ERR_IMPORT_VERIFY" });
      expect(await isThere(options.name)).toBe(false);

      front.treat((_, __, pass) => pass());
      await importVaultKey(Buffer.from(secret), options);
      change(/\/verify\//, (body) => ({ ...body, input: "AAAA" }));
      const second = await vaultFailure(
        importVaultKey(Buffer.from(secret), { ...options, newVersion: true }),
      );
      expect(second).toMatchObject({ code: "ERR_IMPORT_VERIFY" });
      expect(second.message).toMatch(/version 2 of the key is left there, unused$/);
    });

    test("and say so where the policy does not let them", async () => {
      const options = place();
      const { name } = options;
      const token = await bao.tokenWith(`
        path "transit/wrapping_key" { capabilities = ["read"] }
        path "transit/keys/${name}" { capabilities = ["read"] }
        path "transit/keys/${name}/import" { capabilities = ["update"] }`);
      const error = await vaultFailure(importVaultKey(Buffer.from(secret), { ...options, token }));
      expect(error).toMatchObject({
        code: "ERR_VAULT_DENIED",
        operation: `POST transit/verify/${name}/sha2-256`,
      });
      expect(error.message).toContain("the key could not be deleted");
      expect(await isThere(name)).toBe(true);
    });

    test("an import whose answer is lost is found out about by the key's MAC", async () => {
      for (const isDone of [true, false]) {
        const options = place();
        let imports = 0;
        front.treat(({ url }, answer, pass) => {
          if (!url.endsWith("/import")) return pass();
          imports++;
          if (!isDone) return void answer.destroy();
          answer.writeHead = () => answer.destroy();
          pass();
        });
        const outcome = importVaultKey(Buffer.from(secret), options);
        if (isDone) expect(await outcome).toMatchObject({ keyVersion: 1 });
        else expect(await vaultFailure(outcome)).toMatchObject({ code: "ERR_VAULT_CONNECTION" });
        expect(await isThere(options.name)).toBe(isDone);
        expect(imports).toBe(1);
      }
    });
  });

  describe("the wrapping key", () => {
    test("may be given, and is then not asked for", async () => {
      const { data } = await bao.call("transit/wrapping_key");
      const { name } = await put({ wrappingKey: data.public_key });
      expect(await macOf(name, 1)).toBe(macWith(`AWS4${secret}`));
      expect(front.seen.some(({ url }) => url.includes("wrapping_key"))).toBe(false);
    });

    test("of another engine gives no key", async () => {
      const { publicKey: key } = generateKeyPairSync("rsa", { modulusLength: 4096 });
      const publicKey = String(key.export({ type: "spki", format: "pem" }));
      const target = place({ wrappingKey: publicKey });
      await expect(importVaultKey(Buffer.from(secret), target)).rejects.toMatchObject({ status: 500 });
      expect(await isThere(target.name)).toBe(false);
    });

    test("is not taken from a server that anybody may pose as", async () => {
      const error = await vaultFailure(put({ address: "http://vault.example:8200" }));
      expect(error).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
      expect(error.message).toContain("wrappingKey");
    });

    test.each(["no PEM", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])(
      "%j is none",
      async (pem) => {
        await expect(put({ wrappingKey: pem })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
        front.treat(({ url }, answer, pass) => {
          if (url.endsWith("/wrapping_key")) answer.end(JSON.stringify({ data: { public_key: pem } }));
          else pass();
        });
        await expect(put()).rejects.toMatchObject({ code: "ERR_VAULT_RESPONSE" });
      },
    );
  });

  test.each([
    [{ name: "" }, "name"],
    [{ name: "../sys" }, "name"],
    [{ name: "a/b" }, "name"],
    [{ mount: "" }, "mount"],
    [{ mount: "a//b" }, "mount"],
    [{ mount: "../sys" }, "mount"],
    [{ mount: "a b" }, "mount"],
    [{ replace: 1 as never }, "replace"],
    [{ replace: true, newVersion: true }, "replace"],
    [{ algorithm: "hmac" as never }, "algorithm"],
  ])("%j is refused before anything is sent", async (options, option) => {
    const error = await vaultFailure(put(options));
    expect(error).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(error.message).toContain(option);
    expect(front.seen).toEqual([]);
  });

  describe("are removed", () => {
    test("with all versions", async () => {
      const options = place();
      await importVaultKey(Buffer.from(secret), options);
      await removeVaultKey(options);
      expect(await isThere(options.name)).toBe(false);
      await expect(removeVaultKey(options)).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    });

    test("of another type with force only", async () => {
      const options = place();
      await bao.call(`transit/keys/${options.name}`, { body: { type: "aes256-gcm96" } });
      await expect(removeVaultKey(options)).rejects.toMatchObject({ code: "ERR_KEY_UNSUITABLE" });
      await removeVaultKey({ ...options, force: true });
      expect(await isThere(options.name)).toBe(false);
    });
  });
});
