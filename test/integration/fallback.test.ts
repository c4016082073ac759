// A TPM that goes away and comes back, and a token that signs in its place.
import { createHmac, randomBytes } from "node:crypto";
import {
  type FallbackEvent,
  type FallbackOptions,
  fallbackKey,
  type HmacKey,
  importPkcs11Key,
  importTpmKey,
  importVaultKey,
  insecureMemoryKey,
  openKey,
  openPkcs11Key,
  openTpmKey,
} from "../../lib/index.js";
import { type Bao, startBao } from "../support/bao.js";
import { eventsDuring } from "../support/events.js";
import { until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";
import { type Swtpm, startSwtpm } from "../support/swtpm.js";
import { warningsDuring } from "../support/warnings.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const handle = 0x81008001;
const auth = { password: "device password" };

async function expectRight(key: HmacKey): Promise<void> {
  const message = randomBytes(8);
  const expected = createHmac("sha256", `AWS4${secret}`).update(message).digest("hex");
  expect(Buffer.from(await key.mac(message)).toString("hex")).toBe(expected);
}

describeWith(["openbao"], "a fallback of OpenBao and memory", () => {
  let bao: Bao;
  let reference: string;
  let key: HmacKey;
  const signer = 'path "transit/hmac/signer/sha2-256" { capabilities = ["update"] }';
  const open = async (token: string): Promise<HmacKey> =>
    fallbackKey([() => openKey(reference, { token, retries: 0 }), insecureMemoryKey(secret)], {
      retryAfter: 0,
    });
  /** Whom the next MAC, which is right, was asked of, and what came of it. */
  const asked = async (): Promise<[string, string | undefined][]> => {
    const events = await eventsDuring<FallbackEvent>("aws-hmac:fallback", () => expectRight(key));
    return events.map(({ backend, error }) => [backend, error]);
  };

  beforeAll(async () => {
    bao = await startBao({ persistent: true });
    const { address, token } = bao;
    ({ reference } = await importVaultKey(Buffer.from(secret), { address, token, name: "signer" }));
  });
  afterEach(() => key?.close());
  afterAll(() => bao?.stop());

  test("a server that is sealed or gone is unavailable, and used again when it is back", async () => {
    key = await open(await bao.tokenWith(signer));
    expect(await asked()).toEqual([["vault", undefined]]);
    await bao.call("sys/seal", { method: "POST" });
    expect(await asked()).toEqual([
      ["vault", "ERR_VAULT_SEALED"],
      ["memory", undefined],
    ]);
    await bao.kill();
    expect(await asked()).toEqual([
      ["vault", "ERR_VAULT_CONNECTION"],
      ["memory", undefined],
    ]);
    await bao.restart();
    expect(await asked()).toEqual([["vault", undefined]]);
  });

  test("a token that was revoked, or may not sign, is a refusal", async () => {
    const token = await bao.tokenWith(signer);
    key = await open(token);
    await bao.call("auth/token/revoke", { body: { token } });
    await expect(key.mac(randomBytes(8))).rejects.toMatchObject({ code: "ERR_VAULT_TOKEN" });
    await expect(open(await bao.tokenWith(signer.replace("signer", "other")))).rejects.toMatchObject({
      code: "ERR_VAULT_DENIED",
    });
  });
});

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
  /** Who gave the next MAC, which is right. */
  const served = async (): Promise<string | undefined> => {
    const events = await eventsDuring<FallbackEvent>("aws-hmac:fallback", () => expectRight(key));
    return events.find(({ error }) => error === undefined)?.backend;
  };
  const untilServedBy = (backend: string): Promise<void> =>
    until(`${backend} serves`, async () => (await served()) === backend);

  beforeAll(async () => {
    tpm = await startSwtpm();
    hsm = await makeSoftHsm();
    const noDA = true; // each failure of the power counts as a wrong password
    await importTpmKey(Buffer.from(secret), { tcti: tpm.tcti, handle, auth, noDA });
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
      for (; signing; signed++) await expectRight(key);
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
        await expectRight(key);
        await expectRight(key);
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
    const noPin = () => openPkcs11Key({ module, tokenLabel, pin: "wrong", label: "signer" });
    const right = () => openTpmKey({ tcti, handle, auth });
    await expect(fallbackKey([right, noPin])).rejects.toMatchObject({ code: "ERR_PIN_INCORRECT" });
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
            await eventsDuring<FallbackEvent>("aws-hmac:fallback", () => expectRight(key), listen);
            return tried;
          });
          await expectRight(key);
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
