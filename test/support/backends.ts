import { execFileSync } from "node:child_process";
import path from "node:path";
import type { KeyAlgorithm } from "../../lib/core/aws4-key.js";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import { openAwsKmsKey } from "../../lib/keys/aws-kms.js";
import { insecureMemoryKey } from "../../lib/keys/memory.js";
import type { OpenKeyOptions } from "../../lib/keys/open-key.js";
import { openPkcs11Key } from "../../lib/keys/pkcs11.js";
import { openTinkKey } from "../../lib/keys/tink.js";
import { openTpmKey } from "../../lib/keys/tpm.js";
import { openVaultKey } from "../../lib/keys/vault.js";
import { importAwsKmsKey } from "../../lib/provision/aws-kms.js";
import { importPkcs11Key } from "../../lib/provision/pkcs11.js";
import { importTinkKey } from "../../lib/provision/tink.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { importVaultKey } from "../../lib/provision/vault.js";
import { startBao } from "./bao.js";
import { startKms } from "./kms.js";
import { temporaryFolder } from "./process.js";
import type { Requirement } from "./requirements.js";
import { makeSoftHsm } from "./softhsm.js";
import { startSwtpm } from "./swtpm.js";

/** A secret access key for tests, as AWS makes them: 40 characters. */
export const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/** A key as another process opens it: `openKey(reference, options)`, all of it JSON. */
export interface ChildKey {
  reference: string;
  options: OpenKeyOptions;
  /** Variables of the environment that it needs besides. */
  env?: NodeJS.ProcessEnv;
}

/** A throwaway device that holds one key, made of the secret it was started with. */
export interface Device {
  /** One more instance of the key. */
  open(): Promise<HmacKey>;
  /** What opens the key in another process; not there where the secret itself would have to be given. */
  child?: ChildKey;
  /** Where a device outlives the programs: the objects and sessions that they left in it; [] is as it should be. */
  leftovers?(): Promise<string[]>;
  stop(): Promise<void>;
}

export interface Backend {
  name: "memory" | "tpm" | "pkcs11" | "vault" | "tink" | "aws-kms";
  /** Software that must be installed. */
  needs: Requirement[];
  /** The lengths in bytes of the messages that it takes; any where it does not say. */
  messages?: { least: number; most: number };
  start(secret?: string, algorithm?: KeyAlgorithm): Promise<Device>;
}

const memory: Backend = {
  name: "memory",
  needs: [],
  start: async (secret = secretAccessKey, algorithm) => ({
    open: async () => insecureMemoryKey(secret, { algorithm }),
    stop: async () => undefined,
  }),
};

const tpm: Backend = {
  name: "tpm",
  needs: ["swtpm", "tpm2-tools"],
  async start(secret = secretAccessKey, algorithm) {
    const { tcti, stop } = await startSwtpm();
    const options = { tcti, auth: { password: "device password" } };
    const { handle, reference } = await importTpmKey(Buffer.from(secret), {
      ...options,
      handle: 0x81008001,
      algorithm,
    });
    return {
      open: () => openTpmKey({ ...options, handle }),
      child: { reference, options: { auth: options.auth } },
      leftovers: async () =>
        ["handles-transient", "handles-loaded-session", "handles-saved-session"].flatMap((kind) =>
          execFileSync("tpm2_getcap", ["-T", tcti, kind], { encoding: "utf8" }).split("\n").filter(Boolean),
        ),
      stop,
    };
  },
};

const pkcs11: Backend = {
  name: "pkcs11",
  needs: ["softhsm"],
  async start(secret = secretAccessKey, algorithm) {
    const { module, tokenLabel, pin, remove } = await makeSoftHsm();
    const options = { module, tokenLabel, pin };
    const { uri, label, id } = await importPkcs11Key(Buffer.from(secret), {
      ...options,
      label: "signer",
      algorithm,
    });
    return {
      open: () => openPkcs11Key({ ...options, label, id }),
      child: {
        reference: uri,
        options: { pin },
        env: { SOFTHSM2_CONF: process.env.SOFTHSM2_CONF },
      },
      stop: async () => remove(),
    };
  },
};

const vault: Backend = {
  name: "vault",
  needs: ["openbao"],
  async start(secret = secretAccessKey, algorithm) {
    const { address, token: root, tokenWith, stop } = await startBao();
    const place = { address, token: root, name: "signer" };
    const imported = await importVaultKey(Buffer.from(secret), { ...place, algorithm });
    const token = await tokenWith('path "transit/hmac/signer/sha2-256" { capabilities = ["update"] }');
    return {
      open: () => openVaultKey({ ...imported, token }),
      child: { reference: imported.reference, options: {}, env: { VAULT_TOKEN: token } },
      stop,
    };
  },
};

/** A Tink keyset that moto's KMS decrypts. */
const tink: Backend = {
  name: "tink",
  needs: ["moto"],
  async start(secret = secretAccessKey, algorithm) {
    const { folder, remove } = temporaryFolder("keyset");
    const kms = await startKms();
    const stop = async (): Promise<void> => {
      await kms.stop();
      remove();
    };
    try {
      const { arn, clientConfig, env } = kms;
      const place = { kek: `aws-kms://${arn}`, keysetFile: path.join(folder, "keyset.json") };
      const how = { ...place, clientConfig, algorithm };
      const { reference } = await importTinkKey(Buffer.from(secret), how);
      if (reference === undefined) throw new Error("the keyset has no reference");
      return {
        open: () => openTinkKey({ ...place, clientConfig }),
        child: { reference, options: {}, env },
        stop,
      };
    } catch (error) {
      await stop();
      throw error;
    }
  },
};

const awsKms: Backend = {
  name: "aws-kms",
  needs: ["moto"],
  messages: { least: 1, most: 4096 },
  async start(secret = secretAccessKey, algorithm) {
    const { arn, clientConfig, env, stop } = await startKms({
      ...{ KeyUsage: "GENERATE_VERIFY_MAC", KeySpec: "HMAC_256", Origin: "EXTERNAL" },
    });
    try {
      const place = { keyId: arn, clientConfig };
      const { reference } = await importAwsKmsKey(Buffer.from(secret), { ...place, algorithm });
      return { open: () => openAwsKmsKey(place), child: { reference, options: {}, env }, stop };
    } catch (error) {
      await stop();
      throw error;
    }
  },
};

export const backends: Backend[] = [memory, tpm, pkcs11, vault, tink, awsKms];
