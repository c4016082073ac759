import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { listTpmKeys } from "../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { commands } from "../support/interposer.js";
import { type Answer, askTpm, codeOf, message, withRelay } from "../support/relay.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

const lengths = [0, 1, 8, 64, 1024, 1025, 100_000];
const nullHierarchy = 0x40000007;
const capability = { handles: 1, commands: 2 } as const;
/** TPM_RC_COMMAND_CODE, as the TPM and as a resource manager answers it (TSS 2.0 Overview, 3.3). */
const commandCode = [0x143, 0x000c0143] as const;

/** ESYS's copy of a password is overwritten by a command that no TPM takes; it is none of the key's. */
const isHmacOfKey = (command: Buffer): boolean =>
  codeOf(command) === commands.hmac && command.readUInt32BE(10) !== nullHierarchy;

describeWith(["swtpm", "tpm2-tools"], "what a TPM lacks or refuses", () => {
  const suite = tpmSuite();
  const auth = { password };
  let pem: string;

  beforeAll(async () => {
    await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, auth, handle });
    ({ pem } = await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, auth, output: "pem" }));
  });

  /** A TPM that has no TPM2_HMAC; asked what it has, it may name the next command. */
  const withoutHmac =
    (rc: number, isListed: boolean): Answer =>
    (command, ask) => {
      if (isHmacOfKey(command)) return message(rc);
      const asks =
        codeOf(command) === commands.getCapability && command.readUInt32BE(10) === capability.commands;
      if (!asks || isListed) return ask(command);
      const next = Buffer.from(command);
      next.writeUInt32BE(commands.hmac + 1, 14);
      return ask(next);
    };

  describe.each<[string, number, boolean, number]>([
    ["not listed", commandCode[0], false, 0],
    ["listed, but refused", commandCode[0], true, 1],
    ["listed, but refused by a resource manager", commandCode[1], true, 1],
  ])("TPM2_HMAC, %s", (_, rc, isListed, tries) => {
    test.each<TpmKeyOptions>([
      { handle },
      { handle, encryption: "none", auth: { password, mode: "plain" } },
      { encryption: "session", auth: { password, mode: "plain" } },
      { encryption: "none" },
    ])("MACs of every length by a sequence: %j", (options) =>
      withRelay(suite.tcti, async ({ tcti, answer, commands: sent }) => {
        let asked = 0;
        const how = withoutHmac(rc, isListed);
        answer((command, ask) => {
          if (isHmacOfKey(command)) asked++;
          return how(command, ask);
        });
        const key = await suite.open({ tcti, auth, ...(options.handle ? {} : { pem }), ...options });
        for (const length of lengths) {
          const bytes = Buffer.alloc(length, 5);
          expect(await macOf(key, bytes)).toBe(expected(bytes));
        }
        await key.close();
        expect(asked).toBe(tries);
        expect(sent.filter((code) => code === commands.sequenceComplete)).toHaveLength(lengths.length);
      }),
    );
  });

  test.each([
    ["the TPM still has the key", 0],
    ["the TPM does not say whether it still has the key", 0x101], // TPM_RC_FAILURE
  ])("a wrong password is sent once, on the wire too: %s", (_, rc) =>
    withRelay(suite.tcti, async ({ tcti, answer }) => {
      let [tries, questions] = [0, 0];
      answer((command, ask) => {
        if (isHmacOfKey(command)) tries++;
        const isFirst = tries > 0 && codeOf(command) === commands.readPublic && ++questions === 1;
        return isFirst && rc !== 0 ? message(rc) : ask(command);
      });
      const key = await suite.open({ tcti, handle, auth: { password: "wrong" } });
      for (let call = 0; call < 3; call++) {
        await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
      }
      expect([tries, questions]).toEqual([1, 1]);
      await key.close();
    }),
  );

  test.each(["handle", "pem"])(
    "a locked TPM is asked once a call, and the remedy is named: %s",
    async (place) => {
      for (let guess = 0; guess < 3; guess++) {
        expect(() =>
          suite.tool("tpm2_hmac", "-c", "0x81008001", "-p", `guess ${guess}`, "-o", "mac"),
        ).toThrow(/0x9(8E|21)/i);
        suite.tool("tpm2_flushcontext", "-t");
      }
      await withRelay(suite.tcti, async ({ tcti, count }) => {
        const key = await suite.open({ tcti, auth, ...(place === "handle" ? { handle } : { pem }) });
        for (let call = 1; call <= 3; call++) {
          await expect(key.mac(day)).rejects.toMatchObject({
            ...{ name: "TpmError", code: "ERR_TPM_LOCKOUT", rc: 0x921, retryable: false },
            message: expect.stringContaining("tpm2_dictionarylockout"),
          });
          expect(count(commands.hmac)).toBe(call);
        }
        await key.close();
      });
      suite.tool("tpm2_dictionarylockout", "--clear-lockout");
      expect(await macOf(await suite.open({ auth, pem }), day)).toBe(expected(day));
    },
  );

  describe("memory, without a resource manager", () => {
    const long = Buffer.alloc(3000, 1);
    const full = (rcName: string, remedy: string) => ({
      ...{ name: "TpmError", code: "ERR_TPM_MEMORY", rcName, retryable: true },
      message: expect.stringContaining(remedy),
    });
    const held = (kind: string): string => suite.tool("tpm2_getcap", kind);
    const flush = (...which: string[]): void => void suite.tool("tpm2_flushcontext", ...which);

    test("every object slot is another's", async () => {
      const noMore = full("TPM_RC_OBJECT_MEMORY", "tpm2_flushcontext -t");
      const bare = { handle, encryption: "none", auth: { password, mode: "plain" } } as const;
      const open = await suite.open(bare);
      for (let slot = 0; slot < 3; slot++) suite.tool("tpm2_createprimary", "-C", "n", "-c", `${slot}.ctx`);
      const theirs = held("handles-transient");
      expect(theirs).toBe("- 0x80000000\n- 0x80000001\n- 0x80000002\n");
      const names = (): string[] =>
        [0, 1, 2].map((slot) => suite.tool("tpm2_readpublic", "-c", `0x8000000${slot}`));
      const before = names();
      for (const options of [{ pem }, { handle }, { pem, encryption: "none" }] as const) {
        await expect(suite.open({ auth, ...options })).rejects.toMatchObject(noMore);
      }
      await expect(
        importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle: "free" }),
      ).rejects.toMatchObject(noMore);
      // A persistent key takes a slot while it is used, and a sequence another.
      for (const bytes of [day, long]) await expect(open.mac(bytes)).rejects.toMatchObject(noMore);
      expect([held("handles-transient"), held("handles-loaded-session"), names()]).toEqual([
        theirs,
        "",
        before,
      ]);
      flush("0x80000001");
      expect(await macOf(open, day)).toBe(expected(day));
      await expect(open.mac(long)).rejects.toMatchObject(noMore);
      expect(held("handles-transient")).toBe("- 0x80000000\n- 0x80000002\n");
      flush("0x80000000");
      expect(await macOf(open, long)).toBe(expected(long));
      expect(await macOf(await suite.open({ auth, pem }), day)).toBe(expected(day));
      expect(held("handles-transient")).toContain("0x80000002");
      flush("0x80000002");
    });

    test("every session slot is another's", async () => {
      // TPM2_StartAuthSession: no key, a nonce of 16 bytes, no salt, an HMAC session without cipher, SHA-256.
      const nonce = Buffer.concat([Buffer.of(0, 16), Buffer.alloc(16, 1)]);
      const start = message(
        commands.startAuthSession,
        ...[nullHierarchy, nullHierarchy, nonce, Buffer.of(0, 0, 0, 0, 0x10, 0, 0x0b)],
      );
      for (let slot = 0; slot < 3; slot++) expect(codeOf(await askTpm(suite.tcti, start))).toBe(0);
      const theirs = held("handles-loaded-session");
      expect(theirs.match(/0x/g)).toHaveLength(3);
      const noMore = full("TPM_RC_SESSION_MEMORY", "tpm2_flushcontext -l");
      for (const options of [{ pem }, { handle }, { handle, encryption: "none" }] as const) {
        await expect(suite.open({ auth, ...options })).rejects.toMatchObject(noMore);
      }
      const key = await suite.open({ handle, encryption: "none", auth: { password, mode: "plain" } });
      expect([await macOf(key, day), await macOf(key, long)]).toEqual([expected(day), expected(long)]);
      expect([held("handles-loaded-session"), held("handles-transient")]).toEqual([theirs, ""]);
      flush("0x2000001");
      expect(await macOf(await suite.open({ auth, pem }), day)).toBe(expected(day));
      expect(held("handles-loaded-session")).toMatch(/0x2000000[\s\S]*0x2000002/);
      flush("0x2000000");
      flush("0x2000002");
    });

    test("others have as many sessions as the TPM keeps", async () => {
      for (let session = 0; session < 64; session++)
        suite.tool("tpm2_startauthsession", "-S", "theirs.session");
      await expect(suite.open({ auth, pem })).rejects.toMatchObject(
        full("TPM_RC_SESSION_HANDLES", "tpm2_flushcontext -s"),
      );
      expect(held("handles-saved-session").match(/0x/g)).toHaveLength(64);
      flush("-s");
      expect(await macOf(await suite.open({ auth, pem }), day)).toBe(expected(day));
    });
  });

  test("a TPM that lists the same handle for ever is not believed", () =>
    withRelay(suite.tcti, async ({ tcti, answer }) => {
      const isList = (command: Buffer): boolean =>
        codeOf(command) === commands.getCapability && command.readUInt32BE(10) === capability.handles;
      answer((command, ask) =>
        isList(command) ? message(0, Buffer.of(1), capability.handles, 1, handle) : ask(command),
      );
      await expect(listTpmKeys({ tcti })).rejects.toMatchObject({ name: "TpmError", code: "ERR_TPM" });
    }));
});
