import { createPublicKey } from "node:crypto";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { commands, type Forgery, type Interposer, interpose } from "../support/interposer.js";
import { describeWith } from "../support/requirements.js";
import { type KnownKey, readKnownKey } from "../support/tpm-known-key.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

describeWith(["swtpm", "tpm2-tools"], "a salt key that somebody between here and the TPM replaced", () => {
  const suite = tpmSuite();
  const auth = { password };
  const refused = { name: "TpmError", code: "ERR_TPM_SALT_KEY", rc: 0, retryable: false };
  const kinds = ["rsa", "ecc"] as const;
  const persistent = { rsa: 0x81010001, ecc: 0x81010002 };

  beforeAll(async () => {
    await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle, auth });
    suite.toolAndFlush("tpm2_createek", "-G", "rsa", "-c", "0x81010001", "-u", "ek.pub");
    suite.toolAndFlush("tpm2_createek", "-G", "ecc", "-c", "0x81010002", "-u", "ek.pub");
  });

  const between = async (
    kind: "rsa" | "ecc",
    forgery: Forgery,
    use: (wire: Interposer, known: KnownKey) => Promise<void>,
  ): Promise<void> => {
    const known = readKnownKey(suite, persistent[kind]);
    const wire = await interpose(suite.tcti, known.area, createPublicKey(known.pem), forgery);
    try {
      await use(wire, known);
    } finally {
      await wire.stop();
    }
  };

  test.each([persistent.rsa, "ek-rsa"] as const)("is not noticed where nothing is pinned (%s)", (place) =>
    between("rsa", {}, async ({ tcti, salts }) => {
      const key = await suite.open({ tcti, handle, auth, saltKey: { handle: place } });
      expect(await macOf(key, day)).toBe(expected(day));
      expect(salts.map((salt) => salt.length)).toEqual([32]);
      await key.close();
    }),
  );

  const forgeries: [string, Forgery][] = [
    ["with its name", {}],
    ["with the genuine key's name", { keepName: true }],
    ["in the first answer alone", { once: true }],
  ];
  const cases = kinds.flatMap((kind) =>
    forgeries.flatMap(([how, forgery]) => [
      { kind, how, forgery, place: persistent[kind] },
      // libtss2 itself refuses a name that does not fit in the answer to TPM2_CreatePrimary.
      ...(forgery.keepName ? [] : [{ kind, how, forgery, place: `ek-${kind}` as const }]),
    ]),
  );

  test.each(cases)("stops everything where it is pinned: $kind at $place, $how", ({ kind, forgery, place }) =>
    between(kind, forgery, async (wire, { name, pem, area }) => {
      const { tcti } = wire;
      const attempts = [{ name }, { publicKey: pem }, { publicKey: area }].flatMap((pin) => {
        const saltKey = { handle: place, ...pin };
        const open = (mode: "hmac" | "plain") => () =>
          suite.open({ tcti, handle, auth: { ...auth, mode }, saltKey });
        const import_ = () => importTpmKey(Buffer.from(secret), { tcti, auth, saltKey, output: "pem" });
        return [open("hmac"), open("plain"), import_];
      });
      for (const attempt of forgery.once ? attempts.slice(0, 1) : attempts) {
        await expect(attempt()).rejects.toMatchObject(refused);
      }
      expect(wire.commands).toContain(
        place === persistent[kind] ? commands.readPublic : commands.createPrimary,
      );
      expect(wire.commands).not.toContain(commands.startAuthSession);
      expect(wire.commands).not.toContain(commands.hmac);
      expect(wire.commands).not.toContain(commands.create);
    }),
  );
});
