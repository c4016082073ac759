import { execFileSync } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import path from "node:path";
import { TpmError } from "../../lib/core/errors.js";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import { openTpmKey, type TpmKeyOptions } from "../../lib/keys/tpm.js";
import { parseTss2Pem } from "../../lib/keys/tss2-pem.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { freePortPair, type Swtpm, startSwtpm } from "../support/swtpm.js";
import { tap } from "../support/wiretap.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const password = "correct horse battery staple";
const handle = 0x81008001;

const expected = (message: Uint8Array, secretAccessKey = secret): string =>
  createHmac("sha256", `AWS4${secretAccessKey}`).update(message).digest("hex");
const macOf = async (key: HmacKey, message: Uint8Array): Promise<string> =>
  Buffer.from(await key.mac(message)).toString("hex");
const day = Buffer.from("20261123");

describeWith(["swtpm", "tpm2-tools"], "TPM", () => {
  let tpm: Swtpm;
  let tcti: string;
  let open: HmacKey[];
  const { folder, remove } = temporaryFolder("tpm-test");
  const file = (name: string): string => path.join(folder, name);

  const tool = (program: string, ...args: string[]): string =>
    execFileSync(program, ["-T", tcti, ...args], { cwd: folder, encoding: "utf8", stdio: "pipe" });
  /** Without a resource manager tpm2-tools leave their objects in the TPM, and tpm2_encodeobject its session. */
  const toolAndFlush = (program: string, ...args: string[]): void => {
    tool(program, ...args);
    tool("tpm2_flushcontext", "-t");
    tool("tpm2_flushcontext", "-l");
  };
  const makePrimary = (): void =>
    toolAndFlush("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "primary.ctx", "-a", h2Attributes);
  const leftovers = (): string =>
    ["handles-transient", "handles-loaded-session", "handles-saved-session"]
      .map((kind) => tool("tpm2_getcap", kind))
      .join("");
  const failedTries = (): number =>
    Number(/TPM2_PT_LOCKOUT_COUNTER: (\S+)/.exec(tool("tpm2_getcap", "properties-variable"))?.[1]);
  const openKey = async (options: TpmKeyOptions): Promise<HmacKey> => {
    const key = await openTpmKey({ tcti, ...options });
    open.push(key);
    return key;
  };

  beforeAll(async () => {
    tpm = await startSwtpm();
    tcti = tpm.tcti;
  });
  afterAll(async () => {
    await tpm?.stop();
    remove();
  });
  beforeEach(() => {
    open = [];
  });
  afterEach(async () => {
    await Promise.all(open.map((key) => key.close()));
    expect(leftovers()).toBe("");
    tool("tpm2_dictionarylockout", "--clear-lockout"); // a TPM that loses its power counts that as a wrong password
  });

  describe("a persistent key with a password", () => {
    beforeAll(async () => {
      const secretAccessKey = Buffer.from(secret);
      expect(await importTpmKey(secretAccessKey, { tcti, handle, auth: { password } })).toEqual({ handle });
      expect(secretAccessKey.toString()).toBe(secret);
    });
    afterAll(() => tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001"));

    test.each<Partial<TpmKeyOptions>>([
      { auth: { password } },
      { auth: { password: Buffer.from(password), mode: "hmac" }, encryption: "session" },
      { auth: { password, mode: "plain" } },
      { auth: { password }, encryption: "none" },
      { auth: { password, mode: "plain" }, encryption: "none" },
    ])("gives the right MACs with %j", async (options) => {
      const key = await openKey({ handle, ...options });
      for (const length of [0, 8, 1023, 1024, 1025, 2048, 5000]) {
        const message = randomBytes(length);
        expect(await macOf(key, message)).toBe(expected(message));
      }
    });

    test("calls at once are answered in order, by one session", async () => {
      const key = await openKey({ handle, auth: { password } });
      const messages = Array.from({ length: 50 }, (_, n) => Buffer.from(`message ${n}`));
      expect(await Promise.all(messages.map((message) => macOf(key, message)))).toEqual(
        messages.map((message) => expected(message)),
      );
      expect(tool("tpm2_getcap", "handles-loaded-session").trim().split("\n")).toHaveLength(1);
    });

    test("cannot be taken twice", async () => {
      await expect(importTpmKey(Buffer.from(secret), { tcti, handle })).rejects.toMatchObject({
        code: "ERR_TPM_HANDLE_IN_USE",
      });
      expect(await macOf(await openKey({ handle, auth: { password } }), day)).toBe(expected(day));
    });

    test("is what it should be, in the words of tpm2_readpublic", () => {
      const attributes = tool("tpm2_readpublic", "-c", "0x81008001");
      expect(attributes).toContain("fixedtpm|fixedparent|userwithauth|sign\n");
      expect(attributes).toMatch(/value: hmac[\s\S]*value: sha256/);
    });

    test("a wrong password is sent once, and never again", async () => {
      const key = await openKey({ handle, auth: { password: "wrong" } });
      const before = failedTries();
      for (let call = 0; call < 4; call++) {
        await expect(key.mac(day)).rejects.toMatchObject({
          name: "TpmError",
          code: "ERR_TPM_AUTH",
          rcName: "TPM_RC_AUTH_FAIL",
          rc: 0x98e,
          operation: "TPM2_HMAC",
          retryable: false,
        });
      }
      expect(failedTries()).toBe(before + 1);
    });

    test("a locked TPM says so", async () => {
      for (let guess = 0; guess < 3; guess++) {
        const key = await openKey({ handle, auth: { password: `guess ${guess}`, mode: "plain" } });
        await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
        await key.close();
      }
      const key = await openKey({ handle, auth: { password } });
      await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_LOCKOUT", rcName: "TPM_RC_LOCKOUT" });
      tool("tpm2_dictionarylockout", "--clear-lockout");
      expect(await macOf(key, day)).toBe(expected(day));
    });

    test("no error holds the password", async () => {
      const key = await openKey({ handle, auth: { password: "hunter2-hunter2" } });
      const error = await key.mac(day).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(TpmError);
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("hunter2");
    });
  });

  describe("a key file", () => {
    test.each([undefined, password])("is written and read again: password %p", async (secretPassword) => {
      const auth = secretPassword === undefined ? {} : { auth: { password: secretPassword } };
      const { pem } = await importTpmKey(Buffer.from(secret), { tcti, output: "pem", ...auth });
      writeFileSync(file("key.pem"), pem);
      for (const place of [{ pem }, { pemFile: file("key.pem") }]) {
        const key = await openKey({ ...place, ...auth });
        expect(await macOf(key, day)).toBe(expected(day));
        expect(await macOf(key, Buffer.alloc(3000))).toBe(expected(Buffer.alloc(3000)));
      }
    });

    // "AWS4" makes these keys of 64, 65 and 512 bytes; SHA-256's block has 64.
    test.each([60, 61, 508])("takes a secret of %d characters", async (length) => {
      const long = "k".repeat(length);
      const { pem } = await importTpmKey(Buffer.from(long), { tcti, output: "pem" });
      expect(await macOf(await openKey({ pem }), day)).toBe(expected(day, long));
    });

    test("of ours loads in tpm2-tools", async () => {
      const { pem } = await importTpmKey(Buffer.from(secret), {
        tcti,
        output: "pem",
        auth: { password: "tools" },
      });
      const { publicArea, privateArea } = parseTss2Pem(pem);
      writeFileSync(file("ours.pub"), publicArea);
      writeFileSync(file("ours.priv"), privateArea);
      writeFileSync(file("message"), day);
      makePrimary();
      toolAndFlush("tpm2_load", "-C", "primary.ctx", "-u", "ours.pub", "-r", "ours.priv", "-c", "ours.ctx");
      toolAndFlush("tpm2_hmac", "-c", "ours.ctx", "-p", "tools", "-g", "sha256", "-o", "mac", "message");
      expect(readFileSync(file("mac")).toString("hex")).toBe(expected(day));
    });

    test("of tpm2-tools loads here", async () => {
      makePrimary();
      toolAndFlush(
        "tpm2_create",
        "-C",
        "primary.ctx",
        "-G",
        "hmac",
        "-g",
        "sha256",
        "-p",
        "theirs",
        "-u",
        "k.pub",
        "-r",
        "k.priv",
      );
      toolAndFlush(
        "tpm2_encodeobject",
        "-C",
        "primary.ctx",
        "-u",
        "k.pub",
        "-r",
        "k.priv",
        "-p",
        "-o",
        "theirs.pem",
      );
      toolAndFlush("tpm2_load", "-C", "primary.ctx", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx");
      writeFileSync(file("message"), day);
      toolAndFlush("tpm2_hmac", "-c", "k.ctx", "-p", "theirs", "-g", "sha256", "-o", "mac", "message");
      const key = await openKey({ pemFile: file("theirs.pem"), auth: { password: "theirs" } });
      expect(await macOf(key, day)).toBe(readFileSync(file("mac")).toString("hex"));
    });

    test("of another TPM is refused", async () => {
      const other = await startSwtpm();
      try {
        const { pem } = await importTpmKey(Buffer.from(secret), { tcti: other.tcti, output: "pem" });
        await expect(openKey({ pem })).rejects.toMatchObject({
          code: "ERR_TPM_PARENT",
          operation: "TPM2_Load",
          rcName: "TPM_RC_INTEGRITY",
        });
      } finally {
        await other.stop();
      }
    });

    test("that is malformed or missing is refused", async () => {
      await expect(openKey({ pem: "no PEM" })).rejects.toMatchObject({ code: "ERR_PEM_INVALID" });
      await expect(openKey({ pemFile: file("missing.pem") })).rejects.toMatchObject({
        code: "ERR_KEY_NOT_FOUND",
        message: expect.stringContaining("missing.pem"),
      });
    });
  });

  test("a key for another purpose is refused", async () => {
    makePrimary();
    toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "primary.ctx", "0x81000123");
    await expect(openKey({ handle: 0x81000123 })).rejects.toMatchObject({ code: "ERR_KEY_UNSUITABLE" });
    tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000123");
    await expect(openKey({ handle: 0x81000123 })).rejects.toMatchObject({
      code: "ERR_KEY_NOT_FOUND",
      rcName: "TPM_RC_HANDLE",
    });
  });

  test("an owner hierarchy with a password is named as the reason", async () => {
    tool("tpm2_changeauth", "-c", "o", "owned");
    await expect(importTpmKey(Buffer.from(secret), { tcti, output: "pem" })).rejects.toMatchObject({
      code: "ERR_TPM_AUTH",
      message: expect.stringContaining("owner hierarchy"),
    });
    tool("tpm2_changeauth", "-c", "o", "-p", "owned");
  });

  test.each(["session", "none"] as const)(
    "a reset of the TPM is got over: encryption %s",
    async (encryption) => {
      const { pem } = await importTpmKey(Buffer.from(secret), { tcti, output: "pem", auth: { password } });
      await importTpmKey(Buffer.from(secret), { tcti, handle });
      const keys = [
        await openKey({ pem, encryption, auth: { password } }),
        await openKey({ handle, encryption }),
      ];
      for (const key of keys) expect(await macOf(key, day)).toBe(expected(day));
      await tpm.kill();
      for (const key of keys) {
        await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_CONNECTION", retryable: true });
      }
      await tpm.start();
      for (const key of keys) expect(await macOf(key, day)).toBe(expected(day));
      tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
    },
  );

  test("who listens on the bus learns neither secret, password nor MAC, unless encryption is off", async () => {
    const wire = await tap(tcti);
    try {
      const options = { tcti: wire.tcti, auth: { password } };
      const { pem } = await importTpmKey(Buffer.from(secret), { ...options, output: "pem" });
      const macs = async (encryption: "session" | "none", mode: "hmac" | "plain"): Promise<string[]> => {
        const key = await openKey({ tcti: wire.tcti, pem, encryption, auth: { password, mode } });
        const results = [await macOf(key, day), await macOf(key, Buffer.alloc(3000))];
        await key.close();
        return results;
      };
      const seen = (results: string[]): boolean[] => results.map((mac) => wire.saw(Buffer.from(mac, "hex")));

      expect(seen(await macs("session", "hmac"))).toEqual([false, false]);
      expect([secret, password].map((text) => wire.saw(Buffer.from(text)))).toEqual([false, false]);
      expect(seen(await macs("session", "plain"))).toEqual([false, false]);
      expect(wire.saw(Buffer.from(password))).toBe(true);
      expect(seen(await macs("none", "hmac"))).toEqual([true, true]);
      expect(wire.saw(Buffer.from(secret))).toBe(false);
    } finally {
      await wire.stop();
    }
  });

  test("a reset between two MACs goes unnoticed", async () => {
    const { pem } = await importTpmKey(Buffer.from(secret), { tcti, output: "pem", auth: { password } });
    const key = await openKey({ pem, auth: { password } });
    expect(await macOf(key, day)).toBe(expected(day));
    await tpm.kill();
    await tpm.start();
    expect(await macOf(key, day)).toBe(expected(day));
    expect(await macOf(key, Buffer.alloc(2000))).toBe(expected(Buffer.alloc(2000)));
  });
});

const h2Attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";

describe("a TPM that cannot be reached", () => {
  const { folder, remove } = temporaryFolder("no-tpm");
  afterAll(remove);
  const plain = path.join(folder, "plain");
  writeFileSync(plain, "not a device");
  chmodSync(plain, 0o600);

  test.each([
    ["device:/dev/no-such-tpm", "ERR_TPM_DEVICE_NOT_FOUND"],
    [`device:${plain}`, "ERR_TPM_NOT_A_DEVICE"],
    ["device:/dev/null", "ERR_TPM_CONNECTION"],
    ["no-such-tcti:port=1", "ERR_TPM_TCTI"],
    ["libc.so.6", "ERR_TPM_TCTI"],
    ["swtpm:port=none", "ERR_TPM_TCTI"],
    ["swtpm:host=127.0.0.1,port=1", "ERR_TPM_CONNECTION"],
  ])("%s: %s", async (tcti, code) => {
    const started = performance.now();
    await expect(openTpmKey({ tcti, handle })).rejects.toMatchObject({ name: "TpmError", code });
    await expect(importTpmKey(Buffer.from(secret), { tcti, output: "pem" })).rejects.toMatchObject({ code });
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(readFileSync(plain, "utf8")).toBe("not a device");
  });

  test("one that never answers is given up after the timeout", async () => {
    const sockets: Socket[] = [];
    const port = await freePortPair();
    const silent = [port, port + 1].map((number) =>
      createServer((socket) => sockets.push(socket)).listen(number, "127.0.0.1"),
    );
    const started = performance.now();
    await expect(
      openTpmKey({ tcti: `swtpm:host=127.0.0.1,port=${port}`, handle, timeout: 300 }),
    ).rejects.toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
    expect(performance.now() - started).toBeLessThan(5_000);
    for (const socket of sockets) socket.destroy();
    await Promise.all(silent.map((server) => new Promise((resolve) => server.close(resolve))));
  });
});

describe("options of TPM keys", () => {
  const opening = (options: object): Promise<unknown> => openTpmKey(options as TpmKeyOptions);
  const importing = (options: object): Promise<unknown> =>
    importTpmKey(Buffer.from(secret), options as { handle: number });

  test.each([
    [{}, "exactly one of handle, pem and pemFile"],
    [{ handle, pem: "x" }, "exactly one of handle, pem and pemFile"],
    [{ handle: 0x80000001 }, "handle must be"],
    [{ handle: "0x81008001" }, "handle must be"],
    [{ pem: 7 }, "pem must be"],
    [{ pemFile: "" }, "pemFile must be"],
    [{ handle, tcti: "" }, "tcti must be"],
    [{ handle, tcti: null }, "tcti must be"],
    [{ handle, timeout: 0 }, "timeout must be"],
    [{ handle, encryption: "aes" }, "encryption must be"],
    [{ handle, auth: { password: "x", mode: "PLAIN" } }, "auth.mode must be"],
    [{ handle, auth: { password: 1234 } }, "auth.password must be"],
    [{ handle, auth: { password: "p".repeat(33) } }, "auth.password must have at most 32 bytes"],
  ])("openTpmKey(%j): %s", async (options, message) => {
    await expect(opening(options)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(message),
    });
  });

  test.each([
    [{}, "either handle or output"],
    [{ handle, output: "pem" }, "either handle or output"],
    [{ output: "der" }, "output must be"],
    [{ handle: 0x81800000 }, "handle must be a persistent handle, 0x81000000..0x817fffff"],
    [{ output: "pem", auth: { password: Buffer.alloc(33, 1) } }, "auth.password must have at most 32 bytes"],
    [{ output: "pem", timeout: Number.NaN }, "timeout must be"],
  ])("importTpmKey(%j): %s", async (options, message) => {
    await expect(importing(options)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(message),
    });
  });
});
