import { createHmac } from "node:crypto";
import { importPkcs11Key, openPkcs11Key } from "aws-hmac";
import { makeSoftHsm } from "../test/support/softhsm.js";
import { message, runLoop } from "./c-loop.js";
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
    using peer = openPkcs11js({ module, tokenLabel, label, sessions: 64 });
    const comparison = await compare(
      [
        {
          name: "C loop (C_SignInit, C_Sign)",
          run: (seconds) =>
            runLoop("pkcs11_loop", [module, tokenLabel, label], { password: pin, mac, seconds }),
        },
        { name: "aws-hmac, one at a time", run: (seconds) => load(() => key.mac(message), 1, seconds) },
        {
          name: "aws-hmac, 64 in flight",
          run: (seconds) => load(() => key.mac(message), 64, seconds),
          targets: [0.8],
        },
        { name: "pkcs11js C_Sign", run: (seconds) => load(() => peer.sign(message), 1, seconds) },
        {
          name: "pkcs11js C_SignAsync, one at a time",
          run: (seconds) => load(() => peer.signAsync(message), 1, seconds),
        },
        {
          name: "pkcs11js C_SignAsync, 64 sessions",
          run: (seconds) => load(() => peer.signAsync(message), 64, seconds),
        },
      ],
      effort,
    );
    printRatesAndDelays("PKCS#11 (SoftHSM, token key): HMAC-SHA256 of 8 bytes", comparison);
  } finally {
    remove();
  }
};
