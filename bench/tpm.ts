import { createHmac } from "node:crypto";
import { type HmacKey, importTpmKey, openTpmKey } from "aws-hmac";
import { startSwtpm } from "../test/support/swtpm.js";
import { message, runLoop } from "./c-loop.js";
import { type Contender, compare, load } from "./measure.js";
import type { Part } from "./part.js";
import { printRatesAndDelays } from "./table.js";
import { runTpm2Hmac } from "./tpm2-hmac.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const mac = createHmac("sha256", `AWS4${secret}`).update(message).digest();
const password = "a password";
const handle = 0x81008001;

/** The C loop on that swtpm. */
function loop(name: string, tcti: string, authorization: "password" | "session"): Contender {
  const args = [tcti, String(handle), authorization];
  return { name, run: (seconds) => runLoop("tpm_loop", args, { password, mac, seconds }) };
}

/** `key` one call at a time, and with 64 in flight. */
function ours(key: HmacKey, targets: number[]): Contender[] {
  return [
    { name: "aws-hmac, one at a time", run: (seconds) => load(() => key.mac(message), 1, seconds) },
    {
      name: "aws-hmac, 64 in flight",
      run: (seconds) => load(() => key.mac(message), 64, seconds),
      targets,
      targetDelay: 5,
    },
  ];
}

/** TPM2_HMAC in swtpm beside C loops with the same authorisation and session, and beside tpm2-tools. */
export const tpm: Part = async (effort) => {
  const { tcti, stop } = await startSwtpm();
  try {
    await importTpmKey(Buffer.from(secret), { tcti, handle, auth: { password } });
    {
      const auth = { password, mode: "plain" } as const;
      await using key = await openTpmKey({ tcti, handle, auth, encryption: "none" });
      const comparison = await compare(
        [
          loop("C loop (Esys_HMAC), libtss2 as packaged", tcti, "password"),
          {
            ...loop("C loop over a kept socket", tcti.replace("swtpm:", "kept:"), "password"),
            baseline: true,
          },
          ...ours(key, [0.9, 0.8]),
          {
            name: "tpm2_hmac, a process each",
            run: (seconds) => runTpm2Hmac(tcti, handle, { password, mac, seconds }),
          },
        ],
        effort,
      );
      printRatesAndDelays("TPM (swtpm), password in clear: HMAC-SHA256 of 8 bytes", comparison);
    }
    await using key = await openTpmKey({ tcti, handle, auth: { password } });
    const comparison = await compare(
      [loop("C loop (Esys_HMAC), libtss2 as packaged", tcti, "session"), ...ours(key, [0.9])],
      effort,
    );
    printRatesAndDelays("TPM (swtpm), salted session, encrypted both ways: the same MAC", comparison);
  } finally {
    await stop();
  }
};
