import { type HmacKey, importPkcs11Key, importTpmKey, openPkcs11Key, openTpmKey } from "aws-hmac";
import type { Server } from "../../test/support/process.js";
import { makeSoftHsm } from "../../test/support/softhsm.js";
import { startSwtpm } from "../../test/support/swtpm.js";

/** A throwaway device that keeps keys. */
export interface Device extends Server {
  name: string;
  /** Puts a secret access key in; afterwards it can be used and not read. */
  importKey(label: "right" | "wrong", secretAccessKey: Uint8Array): Promise<void>;
  openKey(label: "right" | "wrong"): Promise<HmacKey>;
}

export async function startTpm(): Promise<Device> {
  const { tcti, stop } = await startSwtpm();
  const place = { tcti, auth: { password: "the key's own password" } };
  const handles = { right: 0x81008001, wrong: 0x81008002 };
  return {
    name: "TPM 2.0",
    async importKey(label, secretAccessKey) {
      await importTpmKey(secretAccessKey, { ...place, handle: handles[label] });
    },
    openKey: (label) => openTpmKey({ ...place, handle: handles[label] }),
    stop,
  };
}

export async function startToken(): Promise<Device> {
  const { module, tokenLabel, pin, remove } = await makeSoftHsm("demo");
  const place = { module, tokenLabel, pin };
  return {
    name: "PKCS#11",
    async importKey(label, secretAccessKey) {
      await importPkcs11Key(secretAccessKey, { ...place, label });
    },
    openKey: (label) => openPkcs11Key({ ...place, label }),
    stop: async () => remove(),
  };
}
