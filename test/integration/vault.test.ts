import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import { openVaultKey, type VaultKeyOptions } from "../../lib/keys/vault.js";
import { importVaultKey } from "../../lib/provision/vault.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { type Bao, startBao } from "../support/bao.js";
import { type Front, startFront } from "../support/front.js";
import { until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { vaultFailure } from "../support/vault-failure.js";

const message = Buffer.from("20261123");
const macOf = (text: Uint8Array): string => createHmac("sha256", `AWS4${secret}`).update(text).digest("hex");
const hex = (mac: Uint8Array): string => Buffer.from(mac).toString("hex");
const hmac = "/v1/transit/hmac/signer/sha2-256";
const policy = 'path "transit/hmac/signer/sha2-256" { capabilities = ["update"] }';

describeWith(["openbao"], "a key in Vault or OpenBao", () => {
  let bao: Bao;
  let front: Front;
  const open: HmacKey[] = [];

  beforeAll(async () => {
    bao = await startBao();
    front = await startFront(bao.port);
    await importVaultKey(Buffer.from(secret), { address: bao.address, token: bao.token, name: "signer" });
  });
  afterAll(async () => {
    await front?.stop();
    await bao?.stop();
  });
  beforeEach(() => {
    front.seen.length = 0;
    front.treat((_, __, pass) => pass());
  });
  afterEach(async () => {
    for (const key of open.splice(0)) await key.close();
  });

  const openKey = async (options: Partial<VaultKeyOptions> = {}): Promise<HmacKey> => {
    const key = await openVaultKey({ address: front.address, token: bao.token, name: "signer", ...options });
    open.push(key);
    return key;
  };
  const bodies = () => front.seen.filter(({ url }) => url === hmac).map(({ body }) => JSON.parse(body));

  test("is tried when it is opened, with its version, and asked nothing else", async () => {
    await openKey({ token: await bao.tokenWith(policy) });
    expect(front.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([`POST ${hmac}`]);
    expect(bodies()).toEqual([{ input: expect.stringMatching(/^[A-Za-z\d+/]{43}=$/), key_version: 1 }]);
  });

  describe("calls share requests", () => {
    test("those of one turn, in their order, each message once", async () => {
      const key = await openKey();
      const messages = Array.from({ length: 100 }, (_, n) => Buffer.from(`message ${n}`));
      const macs = await Promise.all(messages.map((text) => key.mac(text)));
      expect(macs.map(hex)).toEqual(messages.map(macOf));
      const [, { batch_input, key_version }] = bodies();
      expect(bodies()).toHaveLength(2);
      expect(key_version).toBe(1);
      expect(batch_input).toEqual(messages.map((text) => ({ input: text.toString("base64") })));
    });

    test("a request has at most 256 of them and a mebibyte, and four are under way at most", async () => {
      const key = await openKey();
      let under = 0;
      let most = 0;
      let held: (() => void)[] | undefined = [];
      front.treat((_, answer, pass) => {
        most = Math.max(most, ++under);
        answer.once("close", () => under--);
        if (held) held.push(pass);
        else pass();
        if (held?.length !== 4) return; // the first four are answered when all of them are here
        for (const go of held) go();
        held = undefined;
      });
      const small = Array.from({ length: 2000 }, (_, n) => Buffer.from(`message ${n}`));
      const large = Array.from({ length: 4 }, () => randomBytes(400_000));
      const messages = [...small, ...large];
      const macs = await Promise.all(messages.map((text) => key.mac(text)));
      expect(macs.map(hex)).toEqual(messages.map(macOf));
      const sizes = bodies()
        .slice(1)
        .map(({ batch_input }) => batch_input?.length ?? 1);
      expect(sizes.reduce((sum, size) => sum + size)).toBe(messages.length);
      expect(Math.max(...sizes)).toBe(256);
      expect(sizes.filter((size) => size <= 2).length).toBeGreaterThanOrEqual(2);
      expect(most).toBe(4);
      expect(Math.max(...front.seen.map(({ body }) => body.length))).toBeLessThan(1.2 * (1 << 20));
    });

    test("each has its own error", async () => {
      const key = await openKey();
      front.treat((seen, _, pass) => {
        const body = JSON.parse(seen.body);
        body.batch_input[1].input = "no base64!";
        seen.body = JSON.stringify(body);
        seen.headers["content-length"] = String(seen.body.length);
        pass();
      });
      const outcomes = await Promise.allSettled(["a", "b", "c"].map((text) => key.mac(Buffer.from(text))));
      expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      const [one, two, three] = outcomes as [never, PromiseRejectedResult, never];
      expect(two.reason).toMatchObject({
        code: "ERR_VAULT",
        message: expect.stringContaining("illegal base64"),
      });
      expect([one, three].map(({ value }) => hex(value))).toEqual(
        ["a", "c"].map((t) => macOf(Buffer.from(t))),
      );
    });

    test("a server that takes fewer strings at once gets them one by one", async () => {
      const key = await openKey();
      front.treat(({ body }, answer, pass) => {
        if (!body.includes("batch_input")) return pass();
        const errors = ["refused JSON input due to high complexity: exceeded maximum number of strings"];
        answer.writeHead(400).end(JSON.stringify({ errors }));
      });
      const macs = await Promise.all(["a", "b", "c"].map((text) => key.mac(Buffer.from(text))));
      expect(macs.map(hex)).toEqual(["a", "b", "c"].map((text) => macOf(Buffer.from(text))));
    });

    test("the server's own limit is what the error says", async () => {
      const batch_input = Array.from({ length: 600 }, () => ({ input: "AAAA" }));
      const { errors } = await vaultFailure(bao.call(hmac.slice(4), { body: { batch_input } })).then(
        (error) => error as unknown as { errors: string[] },
      );
      expect(errors).toEqual([
        "refused JSON input due to high complexity: exceeded maximum number of strings",
      ]);
    });

    test("one whose calls are all aborted is broken off; one that is not, goes on", async () => {
      const key = await openKey();
      let closed = 0;
      const held: (() => void)[] = [];
      front.treat((_, answer, pass) => {
        answer.once("close", () => closed++);
        held.push(pass);
      });
      const controllers = [new AbortController(), new AbortController()];
      const calls = controllers.map(({ signal }) => key.mac(message, { signal }));
      const other = key.mac(Buffer.from("other"));
      await until("the request", () => held.length === 1);
      for (const controller of controllers) controller.abort();
      for (const call of calls) expect((await vaultFailure(call)).name).toBe("AbortError");
      const late = new AbortController();
      const alone = key.mac(message, { signal: late.signal });
      await until("the second request", () => held.length === 2);
      late.abort();
      expect((await vaultFailure(alone)).name).toBe("AbortError");
      await until("its end", () => closed === 1);
      held[0]?.();
      expect(hex(await other)).toBe(macOf(Buffer.from("other")));
    });

    test("one that hangs holds up no other", async () => {
      const key = await openKey({ timeout: 2_000 });
      let hung = false;
      front.treat((_, __, pass) => {
        if (hung) pass();
        else hung = true;
      });
      const lost = vaultFailure(key.mac(message));
      await until("the request", () => hung);
      for (let n = 0; n < 5; n++) expect(hex(await key.mac(message))).toBe(macOf(message));
      expect(await lost).toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
    });

    test("those that wait in line too long time out, and the line has an end", async () => {
      front.treat((_, __, pass) => pass());
      const key = await openKey({ timeout: 3_000 });
      front.treat(() => undefined);
      const calls = Array.from({ length: 4 * 256 + 65_536 }, () => vaultFailure(key.mac(message)));
      await until("the requests", () => front.seen.length >= 2);
      const full = await vaultFailure(key.mac(message));
      expect(["ERR_QUEUE_FULL", "ERR_TIMEOUT"]).toContain(full.code);
      const codes = new Set((await Promise.all(calls)).map(({ code }) => code));
      expect([...codes].sort()).toEqual(["ERR_QUEUE_FULL", "ERR_TIMEOUT"]);
    });
  });

  describe("the answer", () => {
    const answering = (hmacText: unknown): void =>
      front.treat((_, answer) => void answer.end(JSON.stringify({ data: { hmac: hmacText } })));
    const right = randomBytes(32).toString("base64");

    test.each([
      [`vault:v2:${right}`, "ERR_VAULT_VERSION"],
      [`vault:v11:${right}`, "ERR_VAULT_VERSION"],
      [`vault:v1:${randomBytes(31).toString("base64")}`, "ERR_VAULT_RESPONSE"],
      [`vault:v1:${randomBytes(64).toString("base64")}`, "ERR_VAULT_RESPONSE"],
      [`vault:v1:${right.slice(0, -1)}`, "ERR_VAULT_RESPONSE"],
      [`vault:v1:!${right.slice(1)}`, "ERR_VAULT_RESPONSE"],
      [`vault:${right}`, "ERR_VAULT_RESPONSE"],
      ["", "ERR_VAULT_RESPONSE"],
      [null, "ERR_VAULT_RESPONSE"],
      [7, "ERR_VAULT_RESPONSE"],
    ])("%j is no MAC", async (text, code) => {
      const key = await openKey();
      answering(text);
      const error = await vaultFailure(key.mac(message));
      expect(error).toMatchObject({ code, retryable: false });
      expect(error.message).not.toContain(right.slice(0, 8));
      answering(text);
      await expect(openKey()).rejects.toMatchObject({ code });
    });

    test.each([{ batch_results: [] }, { batch_results: "no" }, {}])("%j answers no batch", async (data) => {
      const key = await openKey();
      front.treat((_, answer) => void answer.end(JSON.stringify({ data })));
      const calls = [key.mac(message), key.mac(Buffer.from("other"))].map(vaultFailure);
      for (const call of calls) expect(await call).toMatchObject({ code: "ERR_VAULT_RESPONSE" });
    });
  });

  describe("versions", () => {
    test("a rotation that anybody else makes changes nothing", async () => {
      const body = { type: "hmac", key_size: 32 };
      await bao.call("transit/keys/rotated", { body });
      const key = await openKey({ name: "rotated" });
      const before = hex(await key.mac(message));
      await bao.call("transit/keys/rotated/rotate", { body: {} });
      const { data } = await bao.call("transit/hmac/rotated/sha2-256", {
        body: { input: message.toString("base64") },
      });
      expect(data.hmac).toMatch(/^vault:v2:/); // what a call without a version gets now
      expect(hex(await key.mac(message))).toBe(before);
      const second = await openKey({ name: "rotated", keyVersion: 2 });
      expect(hex(await second.mac(message))).toBe(Buffer.from(data.hmac.slice(9), "base64").toString("hex"));
    });

    test("one that is not there, or not allowed any more", async () => {
      expect(await vaultFailure(openKey({ keyVersion: 2 }))).toMatchObject({
        code: "ERR_VAULT_VERSION",
        status: 400,
      });
      await bao.call("transit/keys/old", { body: { type: "hmac", key_size: 32 } });
      const key = await openKey({ name: "old" });
      await bao.call("transit/keys/old/rotate", { body: {} });
      await bao.call("transit/keys/old/config", { body: { min_encryption_version: 2 } });
      expect(await vaultFailure(key.mac(message))).toMatchObject({ code: "ERR_VAULT_VERSION" });
    });
  });

  test("a key that is deleted while it is open", async () => {
    await bao.call("transit/keys/gone", { body: { type: "hmac", key_size: 32 } });
    const key = await openKey({ name: "gone" });
    await bao.call("transit/keys/gone/config", { body: { deletion_allowed: true } });
    await bao.call("transit/keys/gone", { method: "DELETE" });
    expect(await vaultFailure(key.mac(message))).toMatchObject({
      code: "ERR_KEY_NOT_FOUND",
      retryable: false,
    });
  });

  test("a token that is revoked while it is used, and one that comes in its place", async () => {
    const tokenFile = path.join(bao.folder, "token");
    const tokens = [await bao.tokenWith(policy), await bao.tokenWith(policy)] as const;
    writeFileSync(tokenFile, tokens[0]);
    const key = await openKey({ token: undefined, tokenFile });
    await bao.call("auth/token/revoke", { body: { token: tokens[0] } });
    const error = await vaultFailure(key.mac(message));
    expect(error).toMatchObject({ code: "ERR_VAULT_TOKEN", status: 403 });
    expect(error.message).not.toContain(tokens[0]);
    writeFileSync(tokenFile, tokens[1]);
    expect(hex(await key.mac(message))).toBe(macOf(message));
  });

  test.each([
    [{ name: "none" }, "ERR_KEY_NOT_FOUND"],
    [{ mount: "nowhere" }, "ERR_VAULT_MOUNT"],
    [{ namespace: "nobody" }, "ERR_VAULT_MOUNT"],
    [{ token: "wrong" }, "ERR_VAULT_TOKEN"],
    [{ name: "a/b" }, "ERR_INVALID_ARGUMENT"],
    [{ keyVersion: 0 }, "ERR_INVALID_ARGUMENT"],
    [{ keyVersion: 1.5 }, "ERR_INVALID_ARGUMENT"],
    [{ keyVersion: "1" as never }, "ERR_INVALID_ARGUMENT"],
  ])("does not open with %j", async (options, code) => {
    expect(await vaultFailure(openKey(options))).toMatchObject({ code });
  });

  test("a token that may not sign with this key does not open it, and the error has the policy's line", async () => {
    const error = await vaultFailure(openKey({ token: await bao.tokenWith(policy), name: "other" }));
    expect(error).toMatchObject({ code: "ERR_VAULT_DENIED" });
    expect(error.message).toContain('path "transit/hmac/other/sha2-256" { capabilities = ["update"] }');
  });
});

describeWith(["openbao"], "a key in a server that is sealed, killed and started again", () => {
  let bao: Bao;
  let key: HmacKey;

  beforeAll(async () => {
    bao = await startBao({ persistent: true });
    const place = { address: bao.address, token: bao.token, name: "signer" };
    await importVaultKey(Buffer.from(secret), place);
    key = await openVaultKey({ ...place, timeout: 5_000 });
  });
  afterAll(async () => {
    await key?.close();
    await bao?.stop();
  });

  test("works as long as the server does", async () => {
    expect(hex(await key.mac(message))).toBe(macOf(message));
  });

  test("tells a sealed server from others, and waits for it a little", async () => {
    await bao.call("sys/seal", { method: "POST", body: {} });
    const begin = performance.now();
    expect(await vaultFailure(key.mac(message))).toMatchObject({
      code: "ERR_VAULT_SEALED",
      status: 503,
      retryable: true,
    });
    expect(performance.now() - begin).toBeGreaterThan(500);
    await bao.kill();
    await bao.restart();
    expect(hex(await key.mac(message))).toBe(macOf(message));
  });

  test("a server that was killed cannot be reached; once it is back the key works on", async () => {
    await bao.kill();
    expect(await vaultFailure(key.mac(message))).toMatchObject({
      code: "ERR_VAULT_CONNECTION",
      retryable: true,
    });
    await bao.restart();
    expect(hex(await key.mac(message))).toBe(macOf(message));
  });

  test("calls that were under way when it was killed end, and those after it work", async () => {
    bao.suspend();
    const calls = Array.from({ length: 40 }, () => key.mac(message).then(hex, ({ code }) => code));
    await new Promise((next) => setTimeout(next, 100)); // so that the request is out
    bao.resume();
    await bao.kill();
    const restarted = bao.restart();
    for (const outcome of await Promise.all(calls)) {
      expect([macOf(message), "ERR_VAULT_CONNECTION", "ERR_VAULT_SEALED"]).toContain(outcome);
    }
    await restarted;
    expect(hex(await key.mac(message))).toBe(macOf(message));
  });
});
