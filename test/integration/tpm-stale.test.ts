import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { commands } from "../support/interposer.js";
import { askTpm, codeOf, message } from "../support/relay.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

// Without a resource manager a TPM gives out the same handles again after a reset.
describeWith(["swtpm", "tpm2-tools"], "after a reset another program has what was ours", () => {
  const suite = tpmSuite();
  let pem: string;

  beforeAll(async () => {
    const auth = { password };
    ({ pem } = await importTpmKey(Buffer.from(secret), {
      tcti: suite.tcti,
      auth,
      noDA: true,
      output: "pem",
    }));
    suite.makePrimary();
    // An HMAC key with the same password.
    const areas = ["-u", "k.pub", "-r", "k.priv"];
    suite.toolAndFlush("tpm2_create", "-C", "primary.ctx", "-G", "hmac:sha256", "-p", password, ...areas);
  });

  /** TPM2_StartAuthSession: no key, a nonce of 16 bytes, no salt, an HMAC session without cipher, SHA-256. */
  const startSession = message(
    commands.startAuthSession,
    ...[0x40000007, 0x40000007, Buffer.concat([Buffer.of(0, 16), Buffer.alloc(16, 1)])],
    Buffer.of(0, 0, 0, 0, 0x10, 0, 0x0b),
  );
  const take = {
    async key() {
      const attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
      suite.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "again.ctx", "-a", attributes);
      suite.tool("tpm2_load", "-C", "0x80000000", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx");
      suite.tool("tpm2_flushcontext", "0x80000000");
      expect(suite.tool("tpm2_getcap", "handles-transient")).toBe("- 0x80000001\n");
    },
    async session() {
      expect(codeOf(await askTpm(suite.tcti, startSession))).toBe(0);
    },
  };

  const modes: TpmKeyOptions[] = [
    {},
    { encryption: "none" },
    { auth: { password, mode: "plain" } },
    { auth: { password, mode: "plain" }, encryption: "none" },
  ];
  const cases = modes.flatMap((options) =>
    [["key"], ["session"], ["key", "session"]].map((taken) => ({ taken, options })),
  ) as { taken: (keyof typeof take)[]; options: TpmKeyOptions }[];

  test.each(cases)(
    "its $taken: the MAC is of our key, and theirs stays ($options)",
    async ({ taken, options }) => {
      const key = await suite.open({ auth: { password }, pem, ...options });
      expect(await macOf(key, day)).toBe(expected(day));
      expect(suite.tool("tpm2_getcap", "handles-transient")).toBe("- 0x80000001\n");
      try {
        await suite.tpm.reset();
        suite.tool("tpm2_startup", "-c");
        for (const what of taken) await take[what]();
        const held = (): string[] =>
          ["transient", "loaded-session"].map((kind) => suite.tool("tpm2_getcap", `handles-${kind}`));
        const theirs = held();
        expect(await macOf(key, day)).toBe(expected(day));
        expect(await macOf(key, Buffer.alloc(9))).toBe(expected(Buffer.alloc(9)));
        await key.close();
        expect(held()).toEqual(theirs);
      } finally {
        for (const kind of ["-t", "-l"]) suite.tool("tpm2_flushcontext", kind);
      }
    },
  );
});
