import { createHmac } from "node:crypto";
import { importPkcs11Key, openPkcs11Key } from "aws-hmac";
import { makeSoftHsm } from "../test/support/softhsm.js";
import { message, runLoop } from "./c-loop.js";
import { openGraphene } from "./graphene.js";
import { compare, load } from "./measure.js";
import type { Part } from "./part.js";
import { openPkcs11js } from "./pkcs11js.js";
import { printRatesAndDelays } from "./table.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const mac = createHmac("sha256", `AWS4${secret}`).update(message).digest();
const label = "bench";

/** CKM_SHA256_HMAC in SoftHSM beside a C loop and pkcs11js on the same token. */
export const pkcs11: Part = async (effort) => {
  const { module, tokenLabel, pin, remove } = await makeSoftHsm();
  try {
    await importPkcs11Key(Buffer.from(secret), { module, tokenLabel, pin, label });
    await using key = await openPkcs11Key({ module, tokenLabel, pin, label });
    using pkcs11js = openPkcs11js({ module, tokenLabel, label, sessions: 64 });
    using graphene = openGraphene({ module, tokenLabel, label, sessions: 64 });
    const pack = (): Promise<unknown> => Promise.all(Array.from({ length: 64 }, () => key.mac(message)));
    const comparison = await compare(
      [
        {
          name: "C loop (C_SignInit, C_Sign)",
          run: (seconds) =>
            runLoop("pkcs11_loop", [module, tokenLabel, label], { password: pin, mac, seconds }),
        },
        { name: "aws-hmac, one at a time", run: (seconds) => load(() => key.mac(message), 1, seconds) },
        {
          name: "aws-hmac, 256 in flight",
          run: (seconds) => load(() => key.mac(message), 256, seconds),
          targets: [0.9],
          targetDelay: 5,
        },
        {
          name: "aws-hmac, 4 batches of 64",
          run: async (seconds) => 64 * (await load(pack, 4, seconds)),
          targets: [0.9],
          targetDelay: 5,
        },
        { name: "pkcs11js, C_Sign", run: (seconds) => load(() => pkcs11js.sign(message), 1, seconds) },
        {
          name: "pkcs11js, C_SignAsync in 64 sessions",
          run: (seconds) => load(() => pkcs11js.signAsync(message), 64, seconds),
        },
        { name: "graphene-pk11, once", run: (seconds) => load(() => graphene.sign(message), 1, seconds) },
        {
          name: "graphene-pk11, once in 64 sessions",
          run: (seconds) => load(() => graphene.signAsync(message), 64, seconds),
        },
      ],
      effort,
    );
    printRatesAndDelays("PKCS#11 (SoftHSM, token key): HMAC-SHA256 of 8 bytes", comparison);
  } finally {
    remove();
  }
};
