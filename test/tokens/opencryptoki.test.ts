import { openPkcs11Key } from "../../lib/index.js";
import { describeInNamespace } from "../support/namespace.js";
import { makeOpenCryptoki } from "../support/opencryptoki.js";
import type { TestToken } from "../support/token.js";
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

describeInNamespace(["opencryptoki", "opensc"], "openCryptoki", __filename, () =>
  tokenSuite(makeOpenCryptoki, (token) => {
    judging(token);
    locking(token);
  }),
);
