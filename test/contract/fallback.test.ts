import { AwsHmacError, type FallbackEntry, fallbackKey, insecureMemoryKey } from "../../lib/index.js";
import { type Backend, backends, type Device, secretAccessKey } from "../support/backends.js";
import { describeWith } from "../support/requirements.js";
import { ScriptedKey } from "../support/scripted-key.js";
import { contract } from "./contract.js";

/** A fallback as a device, of new keys each time that it is opened. */
function fallbackOf(
  entries: () => FallbackEntry[] | Promise<FallbackEntry[]>,
  stop: () => Promise<void> = async () => undefined,
): Device {
  return { open: async () => fallbackKey(await entries()), stop };
}

const memory = () => insecureMemoryKey(secretAccessKey);
const gone = new AwsHmacError("ERR_TPM_CONNECTION", "away", { retryable: true });

describe("HmacKey of a fallback: two keys in memory", () => {
  contract({ start: async () => fallbackOf(() => [memory(), memory()]) });
});

describe("HmacKey of a fallback: the first cannot be opened", () => {
  contract({ start: async () => fallbackOf(() => [() => Promise.reject(gone), memory()]) });
});

describe("HmacKey of a fallback: the first goes away", () => {
  const broken = (): ScriptedKey => {
    const key = new ScriptedKey(secretAccessKey);
    key.script = ["answers", ...Array(1000).fill(gone)];
    return key;
  };
  contract({ start: async () => fallbackOf(() => [broken(), memory()]) });
});

describeWith(["swtpm", "softhsm"], "HmacKey of a fallback: a TPM and a token", () => {
  const [tpm, pkcs11] = (["tpm", "pkcs11"] as const).map((name) =>
    backends.find((backend) => backend.name === name),
  ) as [Backend, Backend];
  contract({
    async start() {
      const devices = [await tpm.start(), await pkcs11.start()];
      return fallbackOf(
        () => devices.map((device) => () => device.open()),
        async () => {
          for (const device of devices) await device.stop();
        },
      );
    },
  });
});
