import { execFileSync } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { importPkcs11Key, openPkcs11Key, type Pkcs11KeyOptions } from "../../lib/index.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

function hmac(key: string, message: Uint8Array): Buffer {
  return createHmac("sha256", `AWS4${key}`).update(message).digest();
}

describeWith(["softhsm", "p11-kit", "opensc"], "a PKCS#11 key in SoftHSM", () => {
  let hsm: SoftHsm;
  let token: { module: string; tokenLabel: string; pin: string };
  let id: Uint8Array;

  beforeAll(async () => {
    hsm = await makeSoftHsm();
    token = { module: hsm.module, tokenLabel: hsm.tokenLabel, pin: hsm.pin };
    id = (await importPkcs11Key(Buffer.from(secret), { ...token, label: "signer" })).id;
  });
  afterAll(() => hsm.remove());

  async function expectSigns(options: Pkcs11KeyOptions, key = secret): Promise<void> {
    const opened = await openPkcs11Key(options);
    try {
      const message = randomBytes(8);
      expect(Buffer.from(await opened.mac(message))).toEqual(hmac(key, message));
    } finally {
      await opened.close();
    }
  }

  test("gives the MACs of node:crypto, whatever the message's length", async () => {
    const key = await openPkcs11Key({ ...token, label: "signer" });
    try {
      expect(key.backend).toBe("pkcs11");
      for (const length of [0, 1, 8, 64, 1025, 1_000_000]) {
        const message = randomBytes(length);
        expect(Buffer.from(await key.mac(message))).toEqual(hmac(secret, message));
      }
    } finally {
      await key.close();
    }
  });

  test("answers many calls at once, each its own", async () => {
    const key = await openPkcs11Key({ ...token, label: "signer" });
    try {
      const messages = Array.from({ length: 256 }, () => randomBytes(8));
      const macs = await Promise.all(messages.map((message) => key.mac(message)));
      expect(macs.map((mac) => Buffer.from(mac))).toEqual(messages.map((message) => hmac(secret, message)));
    } finally {
      await key.close();
    }
  });

  test("lets the event loop turn though each answer is there when the caller is done with the one before", async () => {
    const key = await openPkcs11Key({ ...token, label: "signer" });
    let [calls, longest] = [0, 0]; // since the last turn
    const turn = (): void => {
      calls = 0;
      immediate = setImmediate(turn);
    };
    let immediate = setImmediate(turn);
    try {
      for (let call = 0; call < 500; call++) {
        const answer = key.mac(Buffer.from("20261129"));
        for (const end = performance.now() + 1; performance.now() < end; );
        await answer;
        longest = Math.max(longest, ++calls);
      }
    } finally {
      clearImmediate(immediate);
      await key.close();
    }
    expect(longest).toBeLessThan(10);
  });

  test("is found by label, by id, and by both", async () => {
    await expectSigns({ ...token, label: "signer" });
    await expectSigns({ ...token, id });
    await expectSigns({ ...token, label: "signer", id });
  });

  test("is in a token found by its serial, its slot, or alone in its module", async () => {
    const { module, serial, slotId, pin } = hsm;
    await expectSigns({ module, serial, pin, label: "signer" });
    await expectSigns({ module, slotId, pin, label: "signer" });
    await expectSigns({ module, pin, label: "signer" });
  });

  test("is found through the modules that p11-kit is configured with", async () => {
    const { tokenLabel, pin } = token;
    await expectSigns({ tokenLabel, pin, label: "signer" });
  });

  test("takes the PIN as bytes, which stay the caller's, and from a function that is asked once", async () => {
    const bytes = Buffer.from(token.pin);
    await expectSigns({ ...token, pin: bytes, label: "signer" });
    expect(bytes.toString()).toBe(token.pin);
    const functions: (() => string | Promise<Uint8Array>)[] = [() => token.pin, async () => bytes];
    for (const pin of functions) {
      const ask = jest.fn(pin);
      await expectSigns({ ...token, pin: ask, label: "signer" });
      expect(ask).toHaveBeenCalledTimes(1);
    }
  });

  test("is not affected by the closing of another instance", async () => {
    const one = await openPkcs11Key({ ...token, label: "signer" });
    const other = await openPkcs11Key({ ...token, label: "signer" });
    await one.close();
    const message = Buffer.from("20261123");
    expect(Buffer.from(await other.mac(message))).toEqual(hmac(secret, message));
    await other.close();
    await expect(other.mac(message)).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });

  test("is private, sensitive and not extractable, and its value does not come out", () => {
    const tool = (...args: string[]): string =>
      execFileSync(
        "pkcs11-tool",
        [
          "--module",
          hsm.module,
          "--token-label",
          token.tokenLabel,
          ...args,
          "--type",
          "secrkey",
          "--label",
          "signer",
        ],
        { env: { ...hsm.env, PIN: token.pin }, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
      );
    expect(tool("--list-objects")).not.toContain("signer");
    const listed = tool("--login", "--pin", "env:PIN", "--list-objects");
    expect(listed).toContain(`ID:         ${Buffer.from(id).toString("hex")}`);
    expect(listed).not.toMatch(/crypt|wrap|derive/);
    expect(listed).toMatch(/Access: +sensitive\b/);
    expect(listed).not.toContain("VALUE");
    expect(() => tool("--login", "--pin", "env:PIN", "--read-object")).toThrow(/CKR_ATTRIBUTE_SENSITIVE/);
  });

  test("is imported under an id of one's own, once", async () => {
    const options = { ...token, label: "once", id: Buffer.from("0102", "hex") };
    const { pin, module } = options;
    const imported = await importPkcs11Key(Buffer.from(secret), options);
    const uri = `pkcs11:token=aws-hmac%20test;object=once;id=%01%02;type=secret-key?module-path=${module}`;
    expect(imported).toEqual({
      uri,
      label: "once",
      id: Uint8Array.of(1, 2),
      extractable: false,
      wrappable: false,
      leftOut: [],
    });
    await expect(importPkcs11Key(Buffer.from("anotherSecret"), options)).rejects.toMatchObject({
      code: "ERR_KEY_EXISTS",
    });
    await expectSigns({ ...imported, pin });
  });

  test("can be shorter than SoftHSM's least key or longer than SHA-256's block", async () => {
    for (const key of ["short", "x".repeat(200)]) {
      const bytes = Buffer.from(key);
      const imported = await importPkcs11Key(bytes, { ...token, label: `${key.length} bytes` });
      expect(bytes.toString()).toBe(key);
      await expectSigns({ ...imported, pin: token.pin }, key);
    }
  });
});
