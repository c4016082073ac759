import { createHmac } from "node:crypto";
import { importTpmKey, openTpmKey } from "aws-hmac";
import { startSwtpm } from "../test/support/swtpm.js";
import { message, runLoop } from "./c-loop.js";
import { compare, load } from "./measure.js";
import type { Part } from "./part.js";
import { printRatesAndDelays } from "./table.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const mac = createHmac("sha256", `AWS4${secret}`).update(message).digest();
const password = "a password";
const handle = 0x81008001;

const modes = [
  {
    title: "password authorisation in clear",
    loop: "password",
    options: { auth: { password, mode: "plain" }, encryption: "none" },
  },
  {
    title: "salted HMAC session, AES-128-CFB both ways",
    loop: "session",
    options: { auth: { password }, encryption: "session" },
  },
] as const;

/** TPM2_HMAC in swtpm beside a C loop with the same authorisation, session and TCTI. */
export const tpm: Part = async (effort) => {
  const { tcti, stop } = await startSwtpm();
  try {
    await importTpmKey(Buffer.from(secret), { tcti, handle, auth: { password } });
    for (const { title, loop, options } of modes) {
      await using key = await openTpmKey({ tcti, handle, ...options });
      const comparison = await compare(
        [
          {
            name: "C loop (Esys_HMAC)",
            run: (seconds) => runLoop("tpm_loop", [tcti, String(handle), loop], { password, mac, seconds }),
          },
          { name: "aws-hmac, one at a time", run: (seconds) => load(() => key.mac(message), 1, seconds) },
          {
            name: "aws-hmac, 64 in flight",
            run: (seconds) => load(() => key.mac(message), 64, seconds),
            target: 0.6,
          },
        ],
        effort,
      );
      printRatesAndDelays(`TPM (swtpm), ${title}: HMAC-SHA256 of 8 bytes`, comparison);
    }
  } finally {
    await stop();
  }
};
