// A TPM that goes away and comes back, and a token that signs in its place.
import { createHmac, randomBytes } from "node:crypto";
import {
  type FallbackEvent,
  type FallbackOptions,
  fallbackKey,
  type HmacKey,
  importPkcs11Key,
  importTpmKey,
  openPkcs11Key,
  openTpmKey,
} from "../../lib/index.js";
import { eventsDuring } from "../support/events.js";
import { until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";
import { type Swtpm, startSwtpm } from "../support/swtpm.js";
import { warningsDuring } from "../support/warnings.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const handle = 0x81008001;
const auth = { password: "device password" };

describeWith(["swtpm", "softhsm"], "a fallback of a TPM and a token", () => {
  let tpm: Swtpm;
  let hsm: SoftHsm;
  let key: HmacKey;
  const open = async (options: FallbackOptions = {}): Promise<HmacKey> => {
    const { module, tokenLabel, pin } = hsm;
    return fallbackKey(
      [
        () => openTpmKey({ tcti: tpm.tcti, handle, auth }),
        () => openPkcs11Key({ module, tokenLabel, pin, label: "signer" }),
      ],
      { retryAfter: 100, ...options },
    );
  };
  const expectRight = async (): Promise<void> => {
    const message = randomBytes(8);
    const expected = createHmac("sha256", `AWS4${secret}`).update(message).digest("hex");
    expect(Buffer.from(await key.mac(message)).toString("hex")).toBe(expected);
  };
  /** Who gave the next MAC, which is right. */
  const served = async (): Promise<string | undefined> => {
    const events = await eventsDuring<FallbackEvent>("aws-hmac:fallback", expectRight);
    return events.find(({ error }) => error === undefined)?.backend;
  };
  const untilServedBy = (backend: string): Promise<void> =>
    until(`${backend} serves`, async () => (await served()) === backend);

  beforeAll(async () => {
    tpm = await startSwtpm();
    hsm = await makeSoftHsm();
    await importTpmKey(Buffer.from(secret), { tcti: tpm.tcti, handle, auth });
    await importPkcs11Key(Buffer.from(secret), { ...hsm, label: "signer" });
  });
  afterEach(() => key?.close());
  afterAll(async () => {
    await tpm?.stop();
    hsm?.remove();
  });

  test("signatures go on, and are right, while the TPM's power fails; then the TPM signs again", async () => {
    key = await open({ requireAll: true });
    expect(await served()).toBe("tpm");
    let signing = true;
    let signed = 0;
    const signers = Array.from({ length: 8 }, async () => {
      for (; signing; signed++) await expectRight();
    });
    await tpm.kill();
    const before = signed;
    await untilServedBy("pkcs11");
    await until("signatures go on", () => signed > before + 100);
    await tpm.start();
    await untilServedBy("tpm");
    signing = false;
    await Promise.all(signers);
    expect(await served()).toBe("tpm");
  });

  test("a TPM that hangs costs a call the timeout, and no more call until retryAfter", async () => {
    key = await open({ timeout: 500, retryAfter: 60_000 });
    expect(await served()).toBe("tpm");
    tpm.suspend();
    try {
      const events = await eventsDuring<FallbackEvent>("aws-hmac:fallback", async () => {
        await expectRight();
        await expectRight();
      });
      expect(events.map(({ backend, error }) => [backend, error])).toEqual([
        ["tpm", "ERR_TIMEOUT"],
        ["pkcs11", undefined],
        ["pkcs11", undefined],
      ]);
    } finally {
      tpm.resume();
    }
  });

  test("a service starts while the TPM is away, and uses it once it is there", async () => {
    await tpm.kill();
    key = await open();
    expect(await served()).toBe("pkcs11");
    await expect(open({ requireAll: true })).rejects.toMatchObject({
      code: "ERR_FALLBACK_UNAVAILABLE",
      message: expect.stringContaining("key 1 (not open): "),
    });
    await tpm.start();
    await untilServedBy("tpm");
  });

  test("a wrong password is told, not covered up", async () => {
    const { tcti } = tpm;
    const { module, tokenLabel, pin } = hsm;
    const token = () => openPkcs11Key({ module, tokenLabel, pin, label: "signer" });
    const wrong = () => openTpmKey({ tcti, handle, auth: { password: "wrong" } });
    await expect(fallbackKey([wrong, token])).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
    await expect(
      fallbackKey([token, () => openPkcs11Key({ module, tokenLabel, pin: "wrong", label: "signer" })]),
    ).rejects.toMatchObject({ code: "ERR_PIN_INCORRECT" });
  });

  test("a TPM that comes with another secret signs nothing", async () => {
    const other = await startSwtpm();
    const held = { ...tpm };
    try {
      await importTpmKey(Buffer.from(randomBytes(20).toString("hex")), { tcti: other.tcti, handle, auth });
      tpm = other;
      await expect(open()).rejects.toMatchObject({
        code: "ERR_FALLBACK_MISMATCH",
        message: expect.stringContaining("key 1 (tpm) and key 2 (pkcs11)"),
      });
      await other.kill();
      key = await open();
      await other.start();
      const found = "ERR_FALLBACK_MISMATCH";
      const warnings = await warningsDuring(async () => {
        const events = await eventsDuring<FallbackEvent>("aws-hmac:fallback", async () => {
          let tried = false;
          const listen = ({ error }: FallbackEvent): void => {
            tried ||= error === found;
          };
          await until("the TPM is tried", async () => {
            await eventsDuring<FallbackEvent>("aws-hmac:fallback", expectRight, listen);
            return tried;
          });
          await expectRight();
        });
        expect(events.filter(({ error }) => error === undefined).map(({ backend }) => backend)).not.toContain(
          "tpm",
        );
      });
      expect(warnings).toEqual([expect.objectContaining({ code: found })]);
    } finally {
      tpm = held;
      await other.stop();
    }
  });
});
