import { createHmac } from "node:crypto";
import { importPkcs11Key, openPkcs11Key } from "aws-hmac";
import { makeProxyModule } from "../test/support/proxy-module.js";
import { makeSoftHsm } from "../test/support/softhsm.js";
import { message } from "./c-loop.js";
import { compare, load } from "./measure.js";
import type { Part } from "./part.js";
import { openPkcs11js } from "./pkcs11js.js";
import { printRatesAndStats } from "./table.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const label = "bench";

/** A HSM that takes a millisecond to sign, as one in the network does: SoftHSM behind a module that waits. */
export const networkHsm: Part = async (effort) => {
  const { module: behind, tokenLabel, pin, remove } = await makeSoftHsm();
  const proxy = await makeProxyModule(behind);
  delete process.env.AWS_HMAC_PROXY_LOG; // it would write each call down
  try {
    proxy.instruct("delay C_Sign 1000");
    const options = { module: proxy.module, tokenLabel, pin, label };
    await importPkcs11Key(Buffer.from(secret), options);
    await using one = await openPkcs11Key(options);
    await using sixteen = await openPkcs11Key({ ...options, threads: 16 });
    using pkcs11js = openPkcs11js({ module: proxy.module, tokenLabel, label, sessions: 64 });
    const expected = createHmac("sha256", `AWS4${secret}`).update(message).digest();
    for (const mac of [await one.mac(message), await sixteen.mac(message), pkcs11js.sign(message)]) {
      if (!expected.equals(mac)) throw new Error("another MAC");
    }
    const comparison = await compare(
      [
        { name: "aws-hmac, 1 thread", run: (seconds) => load(() => one.mac(message), 256, seconds) },
        {
          name: "aws-hmac, 16 threads",
          run: (seconds) => load(() => sixteen.mac(message), 256, seconds),
          targets: [10],
        },
        {
          name: "pkcs11js, C_SignAsync in 64 sessions",
          run: (seconds) => load(() => pkcs11js.signAsync(message), 64, seconds),
        },
      ],
      effort,
      { stats: true },
    );
    printRatesAndStats("A HSM that takes 1 ms, 256 in flight", comparison);
  } finally {
    proxy.remove();
    remove();
  }
};
