import { importPkcs11Key, openPkcs11Key } from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { describeInNamespace } from "../support/namespace.js";
import { makeOpenCryptoki } from "../support/opencryptoki.js";
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
  tokenSuite(makeOpenCryptoki, (token) => {
    judging(token);
    secrecy(token);
    locking(token);
  }),
);
