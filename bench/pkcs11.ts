import { createHmac } from "node:crypto";
import { type HmacKey, importPkcs11Key, openPkcs11Key } from "aws-hmac";
import { makeNss } from "../test/support/nss.js";
import { softHsmToken } from "../test/support/softhsm.js";
import type { TestToken } from "../test/support/token.js";
import { message, runLoop } from "./c-loop.js";
import { openGraphene } from "./graphene.js";
import { type Contender, compare, load } from "./measure.js";
import type { Effort, Part } from "./part.js";
import { openPkcs11js } from "./pkcs11js.js";
import { printRatesAndDelays } from "./table.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const mac = createHmac("sha256", `AWS4${secret}`).update(message).digest();
const label = "bench";

/** CKM_SHA256_HMAC in SoftHSM and in NSS beside C loops, pkcs11js and graphene-pk11 on the same token. */
export const pkcs11: Part = async (effort) => {
  for (const [name, make] of [
    ["SoftHSM", softHsmToken],
    ["NSS", makeNss],
  ] as const) {
    const token = await make();
    try {
      await importPkcs11Key(Buffer.from(secret), { ...token, label });
      await signWithKey(name, token, effort);
      await signWithCopy(name, token, effort);
    } finally {
      await token.stop();
    }
  }
};

async function signWithKey(name: string, token: TestToken, effort: Effort): Promise<void> {
  await using key = await openPkcs11Key({ ...token, label });
  using pkcs11js = openPkcs11js({ ...token, label, sessions: 64 });
  using graphene = openGraphene({ ...token, label, sessions: 64 });
  const comparison = await compare(
    [
      loop("C loop (C_SignInit, C_Sign)", token, []),
      loop("C loop beside a thread that sleeps", token, ["-t"]),
      ...ours(key, [0.9]),
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
  printRatesAndDelays(`PKCS#11 (${name}, token key): HMAC-SHA256 of 8 bytes`, comparison);
}

async function signWithCopy(name: string, token: TestToken, effort: Effort): Promise<void> {
  await using key = await openPkcs11Key({ ...token, label, sessionCopy: true });
  const comparison = await compare(
    [
      loop("C loop with a copy in its session", token, ["-c"]),
      loop("C loop beside a thread that sleeps", token, ["-c", "-t"]),
      ...ours(key, []),
    ],
    effort,
  );
  printRatesAndDelays(`PKCS#11 (${name}, sessionCopy): the same MAC`, comparison);
}

/** The C loop on that token. */
function loop(name: string, { module, tokenLabel, pin, initArgs }: TestToken, options: string[]): Contender {
  if (initArgs !== undefined) options = [...options, "-i", initArgs];
  const args = [...options, module, tokenLabel, label];
  return { name, run: (seconds) => runLoop("pkcs11_loop", args, { password: pin, mac, seconds }) };
}

/** `key` one call at a time, with 256 in flight, and in four batches of 64, each made in one tick. */
function ours(key: HmacKey, targets: number[]): Contender[] {
  const pack = (): Promise<unknown> => Promise.all(Array.from({ length: 64 }, () => key.mac(message)));
  return [
    {
      name: "aws-hmac, one at a time",
      run: (seconds) => load(() => key.mac(message), 1, seconds),
      targetDelay: 5,
    },
    {
      name: "aws-hmac, 256 in flight",
      run: (seconds) => load(() => key.mac(message), 256, seconds),
      targets,
      targetDelay: 5,
    },
    {
      name: "aws-hmac, 4 batches of 64",
      run: async (seconds) => 64 * (await load(pack, 4, seconds)),
      targets,
      targetDelay: 5,
    },
  ];
}
