import { readFileSync } from "node:fs";
import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import { listTpmKeys, removeTpmKey } from "../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { tap } from "../support/wiretap.js";

describeWith(["swtpm", "tpm2-tools"], "TPM housekeeping", () => {
  const suite = tpmSuite();
  const place = (): { tcti: string } => ({ tcti: suite.tcti });
  const hex = (persistent: number): string => `0x${persistent.toString(16)}`;
  const importFree = async (): Promise<number> =>
    (await importTpmKey(Buffer.from(secret), { ...place(), handle: "free" })).handle;

  /** Every persistent handle, by tpm2_getcap. */
  const persistent = (): number[] =>
    [...suite.tool("tpm2_getcap", "handles-persistent").matchAll(/0x[0-9A-F]+/gi)].map(([text]) =>
      Number(text),
    );
  /** What a tool makes in primary.ctx's place, persistent at the first free handle. */
  const create = (...args: string[]): number => {
    suite.toolAndFlush("tpm2_create", "-C", "primary.ctx", "-u", "t.pub", "-r", "t.priv", ...args);
    suite.toolAndFlush("tpm2_load", "-C", "primary.ctx", "-u", "t.pub", "-r", "t.priv", "-c", "t.ctx");
    return keep("t.ctx");
  };
  const keep = (context: string): number => {
    const printed = suite.tool("tpm2_evictcontrol", "-C", "o", "-c", context);
    suite.tool("tpm2_flushcontext", "-t");
    return Number(/persistent-handle: (0x[0-9a-f]+)/.exec(printed)?.[1]);
  };
  const failedTries = (): number =>
    Number(/TPM2_PT_LOCKOUT_COUNTER: (\S+)/.exec(suite.tool("tpm2_getcap", "properties-variable"))?.[1]);

  beforeAll(() => suite.makePrimary());
  afterEach(() => {
    for (const left of persistent()) suite.tool("tpm2_evictcontrol", "-C", "o", "-c", hex(left));
  });

  test("the first free handle is the one that tpm2_evictcontrol would take, gaps first", async () => {
    expect([await importFree(), keep("primary.ctx"), await importFree()]).toEqual([
      0x81000000, 0x81000001, 0x81000002,
    ]);
    await removeTpmKey({ ...place(), handle: 0x81000000 });
    expect(await importFree()).toBe(0x81000000);
    expect(persistent()).toEqual([0x81000000, 0x81000001, 0x81000002]);
    expect(await macOf(await suite.open({ handle: 0x81000002 }), day)).toBe(expected(day));
  });

  test("the list has every HMAC key as tpm2_readpublic shows it, and nothing else", async () => {
    expect(await listTpmKeys(place())).toEqual([]);
    suite.tool("tpm2_startauthsession", "-S", "trial.ctx");
    suite.tool("tpm2_policypcr", "-S", "trial.ctx", "-l", "sha256:23", "-L", "pcr.policy");
    suite.tool("tpm2_flushcontext", "trial.ctx");
    const ours = await importFree();
    const withPassword = await importTpmKey(Buffer.from(secret), { ...place(), handle, auth: { password } });
    const sha1 = create("-G", "hmac:sha1");
    const policyOnly = create(
      "-G",
      "hmac",
      "-L",
      "pcr.policy",
      "-a",
      "fixedtpm|fixedparent|sensitivedataorigin|sign",
    );
    const policyToo = create("-G", "hmac", "-p", "theirs", "-L", "pcr.policy");
    const restricted = create(
      ...["-G", "hmac", "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|restricted"],
    );
    const others = [keep("primary.ctx"), create("-i", "t.pub"), create("-G", "ecc")];

    const keys = await listTpmKeys(place());
    expect(keys.map(({ handle, hasPolicy, usableForAws4 }) => [handle, hasPolicy, usableForAws4])).toEqual([
      [ours, false, true],
      [sha1, false, false],
      [policyOnly, true, true],
      [policyToo, true, true],
      [restricted, false, false],
      [withPassword.handle, false, true],
    ]);
    const digest = readFileSync(suite.file("pcr.policy")).toString("hex");
    expect(keys.map(({ policy }) => policy)).toEqual([
      ...[undefined, undefined, digest, digest, undefined, undefined],
    ]);
    for (const key of keys) {
      const shown = suite.tool("tpm2_readpublic", "-c", hex(key.handle));
      expect(key.name).toBe(/name: (\w+)/.exec(shown)?.[1]);
      expect(key.attributes.join("|").toLowerCase()).toBe(/attributes:\s+value: (\S+)/.exec(shown)?.[1]);
      const policy: TpmPolicy | undefined =
        key.handle === policyOnly ? [{ pcr: { indices: [23] } }] : undefined;
      const opened = suite.open({ handle: key.handle, policy });
      if (key.usableForAws4) await (await opened).close();
      else await expect(opened).rejects.toMatchObject({ code: /^ERR_(KEY_UNSUITABLE|TPM_POLICY)$/ });
    }
    expect(persistent()).toEqual([...keys.map((key) => key.handle), ...others].sort());
  });

  test("a removed key is gone, and only that one; its handle is free again", async () => {
    const handles = [await importFree(), await importFree(), await importFree()];
    await removeTpmKey({ ...place(), handle: 0x81000001 });
    expect(persistent()).toEqual([0x81000000, 0x81000002]);
    await expect(suite.open({ handle: 0x81000001 })).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(removeTpmKey({ ...place(), handle: 0x81000001 })).rejects.toMatchObject({
      name: "TpmError",
      code: "ERR_KEY_NOT_FOUND",
      rcName: "TPM_RC_HANDLE",
    });
    await importTpmKey(Buffer.from(secret), { ...place(), handle: 0x81000001, auth: { password } });
    expect(persistent()).toEqual(handles);
    expect(await macOf(await suite.open({ handle: 0x81000001, auth: { password } }), day)).toBe(
      expected(day),
    );
  });

  test("what is no HMAC key is removed with force only", async () => {
    for (const other of [keep("primary.ctx"), create("-i", "t.pub")]) {
      await expect(removeTpmKey({ ...place(), handle: other })).rejects.toMatchObject({
        code: "ERR_KEY_UNSUITABLE",
        message: expect.stringContaining("force"),
      });
      expect(persistent()).toContain(other);
      await removeTpmKey({ ...place(), handle: other, force: true });
      expect(persistent()).not.toContain(other);
    }
  });

  describe("an owner hierarchy with a password", () => {
    const owner = "the owner of this TPM";
    beforeEach(() => suite.tool("tpm2_changeauth", "-c", "o", owner));
    afterEach(() => suite.tool("tpm2_changeauth", "-c", "o", "-p", owner));

    test("is needed to import and to remove, proved without sending it, and sent where that is asked for", async () => {
      const wire = await tap(suite.tcti);
      const tcti = wire.tcti;
      const refused = {
        name: "TpmError",
        code: "ERR_TPM_AUTH",
        rcName: "TPM_RC_BAD_AUTH",
        message: expect.stringMatching(/owner hierarchy.*ownerAuth/),
      };
      const before = failedTries();
      try {
        for (const ownerAuth of [
          undefined,
          { password: "wrong" },
          { password: "wrong", mode: "plain" },
        ] as const) {
          for (const where of [{ handle }, { handle: "free" }] as const) {
            const importing = importTpmKey(Buffer.from(secret), { tcti, ...where, ownerAuth });
            await expect(importing).rejects.toMatchObject({ ...refused, operation: "TPM2_CreatePrimary" });
          }
        }
        const ownerAuth = { password: owner };
        await importTpmKey(Buffer.from(secret), { tcti, handle, auth: { password }, ownerAuth });
        const { pem } = await importTpmKey(Buffer.from(secret), { tcti, output: "pem", ownerAuth });
        expect(pem).toContain("TSS2 PRIVATE KEY");
        expect(await macOf(await suite.open({ handle, auth: { password } }), day)).toBe(expected(day));
        for (const wrong of [
          undefined,
          { password: "wrong" },
          { password: "wrong", mode: "plain" },
        ] as const) {
          const removing = removeTpmKey({ tcti, handle, ownerAuth: wrong });
          await expect(removing).rejects.toMatchObject({ ...refused, operation: "TPM2_EvictControl" });
        }
        expect(await listTpmKeys({ tcti })).toHaveLength(1);
        await removeTpmKey({ tcti, handle, ownerAuth: { password: Buffer.from(owner), mode: "hmac" } });
        expect([owner, password, secret].map((text) => wire.saw(Buffer.from(text)))).toEqual([
          false,
          false,
          false,
        ]);

        const plain = { password: owner, mode: "plain" } as const;
        await importTpmKey(Buffer.from(secret), { tcti, handle, auth: { password }, ownerAuth: plain });
        await removeTpmKey({ tcti, handle, ownerAuth: plain });
        expect([owner, password, secret].map((text) => wire.saw(Buffer.from(text)))).toEqual([
          true,
          false,
          false,
        ]);
      } finally {
        await wire.stop();
      }
      expect(failedTries()).toBe(before);
      expect(persistent()).toEqual([]);
    });
  });

  test.each([
    [undefined, undefined, true],
    [undefined, false, false],
    [password, undefined, false],
    [password, true, true],
  ])(
    "a key with password %p and noDA %p is exempt from the lockout: %p",
    async (secretPassword, noDA, exempt) => {
      const auth = secretPassword === undefined ? undefined : { password: secretPassword };
      await importTpmKey(Buffer.from(secret), { ...place(), handle, auth, noDA });
      expect((await listTpmKeys(place()))[0]?.attributes.includes("noDA")).toBe(exempt);
      const before = failedTries();
      await expect(
        (await suite.open({ handle, auth: { password: "wrong" } })).mac(day),
      ).rejects.toMatchObject({
        code: "ERR_TPM_AUTH",
      });
      expect(failedTries()).toBe(exempt ? before : before + 1);
      expect(await macOf(await suite.open({ handle, auth }), day)).toBe(expected(day));
    },
  );

  test("a TPM that cannot be reached is named", async () => {
    const tcti = "device:/dev/no-such-tpm";
    const missing = { code: "ERR_TPM_DEVICE_NOT_FOUND" };
    await expect(listTpmKeys({ tcti })).rejects.toMatchObject(missing);
    await expect(removeTpmKey({ tcti, handle })).rejects.toMatchObject(missing);
  });
});
