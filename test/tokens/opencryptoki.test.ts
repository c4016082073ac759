import { importPkcs11Key, listPkcs11Keys, openPkcs11Key } from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { allRight, flood } from "../support/flood.js";
import { describeInNamespace } from "../support/namespace.js";
import { makeOpenCryptoki } from "../support/opencryptoki.js";
import { makeProxyModule } from "../support/proxy-module.js";
import { pkcs11Tool, type TestToken } from "../support/token.js";
import { expectSigns, judging, place, tokenSuite, wrongPin } from "./suite.js";

/** A token that really locks its PIN after the third wrong one. */
function locking(token: () => TestToken): void {
  test("of wrong PINs it gets each once, and none that would lock it", async () => {
    const options = { ...place(token()), label: "signer" };
    for (const pin of [wrongPin(token()), wrongPin(token())]) {
      for (let again = 0; again < 4; again++) {
        await expect(openPkcs11Key({ ...options, pin })).rejects.toMatchObject({
          code: again === 0 ? "ERR_PIN_INCORRECT" : expect.stringMatching(/^ERR_PIN_(INCORRECT|FINAL_TRY)$/),
        });
      }
    }
    const third = openPkcs11Key({ ...options, pin: wrongPin(token()) });
    await expect(third).rejects.toMatchObject({ code: "ERR_PIN_FINAL_TRY" });
    await expectSigns({ ...options, pin: token().pin, allowFinalTry: true });
    await expectSigns({ ...options, pin: token().pin }); // it counts from nought again
  });
}

/** The same where many ask at once, as it counts. */
function counting(token: () => TestToken): void {
  const pinState = async (): Promise<string | undefined> =>
    (await listPkcs11Keys(place(token()))).tokens[0]?.pinState;

  test("however many instances and threads have one wrong PIN, it gets it once", async () => {
    await expectSigns({ ...place(token()), label: "signer", pin: token().pin });
    expect(await pinState()).toBe("ok");
    const options = { ...place(token()), label: "signer", pin: wrongPin(token()), threads: 4 };
    const code = (opening: Promise<unknown>): Promise<string> =>
      opening.then(
        () => "opened",
        (error) => error.code,
      );
    const here = Array.from({ length: 8 }, () => code(openPkcs11Key(options)));
    expect(await Promise.all(here)).toEqual(Array(8).fill("ERR_PIN_INCORRECT"));
    expect(await pinState()).toBe("count-low"); // after two it would be final-try
    await expectSigns({ ...place(token()), label: "signer", pin: token().pin });
    expect(await pinState()).toBe("ok");
  });

  test("a PIN that was changed under four threads with 256 calls reaches it once", async () => {
    const proxy = await makeProxyModule(token().module);
    const options = { ...place(token()), module: proxy.module, label: "signer" };
    const changePin = (pin: string, to: string): Promise<string> =>
      pkcs11Tool(token(), ["--change-pin", "--new-pin", to], pin);
    const changed = wrongPin(token());
    try {
      await using key = await openPkcs11Key({ ...options, pin: token().pin, threads: 4 });
      expect(await flood(key)).toEqual(allRight);
      await changePin(token().pin, changed);
      proxy.instruct("broken 0x30");
      expect(await flood(key)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
      expect(await flood(key)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
      expect(await pinState()).toBe("count-low");
    } finally {
      await changePin(changed, token().pin);
      proxy.remove();
    }
  });
}

/** What it makes of keys in the clear, and encrypted. */
function secrecy(token: () => TestToken): void {
  test("does not wrap a key out", async () => {
    const options = { ...place(token()), pin: token().pin, label: "stays" };
    expect(await importPkcs11Key(Buffer.from(secret), options)).toMatchObject({
      extractable: false,
      wrappable: false,
      leftOut: [],
    });
  });

  test("makes a readable key of an encrypted one, which is not kept", async () => {
    const options = { ...place(token()), pin: token().pin, label: "readable" };
    await expect(
      importPkcs11Key(Buffer.from(secret), { ...options, wrapped: "rsa-oaep", allowWrapping: true }),
    ).rejects.toMatchObject({ code: "ERR_KEY_READABLE" });
    const listed = await pkcs11Tool(token(), ["--list-objects"], token().pin);
    expect(listed).toContain("stays");
    expect(listed).not.toContain("readable");
  });
}

describeInNamespace(["opencryptoki", "opensc"], "openCryptoki", __filename, () =>
  tokenSuite(
    makeOpenCryptoki,
    (token) => {
      judging(token);
      secrecy(token);
      locking(token);
      counting(token);
    },
    ["close"],
  ),
);
