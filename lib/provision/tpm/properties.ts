import { withConnection } from "../../binding/with-connection.js";
import { type TpmDevice, tctiOf, tpmBounds } from "../../keys/tpm/options.js";

/** What a TPM says of itself. */
export interface TpmProperties {
  /** The TCG's abbreviation, e.g. `IFX`, `INTC`, `AMD`; `IBM` of a software TPM. */
  manufacturer: string;
  /** The manufacturer's words for the model; may be empty. */
  vendor: string;
  /** Four numbers with dots between them, as most manufacturers write it. */
  firmware: string;
  /** Of the specification, e.g. `1.59`. */
  revision: string;
  /** Whether keys that count wrong passwords are refused now (TPMA_PERMANENT, inLockout). */
  isLockedOut: boolean;
  /** Wrong passwords that it remembers. */
  failedTries: number;
  /** So many lock it. */
  maxTries: number;
  /** Seconds after which it forgets one; 0: it never does, or does not count. */
  forgetsAfter: number;
}

/** TPM_PT (TCG TPM 2.0 Part 2, 6.13). */
const tags = {
  revision: 0x102,
  manufacturer: 0x105,
  vendor: [0x106, 0x107, 0x108, 0x109],
  firmware: [0x10b, 0x10c],
  permanent: 0x200,
  failedTries: 0x20e,
  maxTries: 0x20f,
  forgetsAfter: 0x210,
} as const;
const inLockout = 1 << 9;

/**
 * Asks a TPM for its properties; nothing in it is changed.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 * @throws TpmError what `openTpmKey` throws for the TPM
 */
export async function readTpmProperties(options: TpmDevice): Promise<TpmProperties> {
  const bounds = tpmBounds(options);
  const native = { tcti: tctiOf(options), timeout: bounds.command };
  const list = await withConnection(bounds.close, (connection) =>
    connection.readTpmProperties(native, { timeout: bounds.call }),
  );
  const properties = new Map(list.map(({ tag, value }) => [tag, value]));
  const number = (tag: number): number => properties.get(tag) ?? 0;
  const words = (...all: number[]): string =>
    all
      .map((tag) => text(number(tag)))
      .join("")
      .trim();
  return {
    manufacturer: words(tags.manufacturer),
    vendor: words(...tags.vendor),
    firmware: tags.firmware.flatMap((tag) => [number(tag) >>> 16, number(tag) & 0xffff]).join("."),
    revision: (number(tags.revision) / 100).toFixed(2),
    isLockedOut: (number(tags.permanent) & inLockout) !== 0,
    failedTries: number(tags.failedTries),
    maxTries: number(tags.maxTries),
    forgetsAfter: number(tags.forgetsAfter),
  };
}

/** Four characters, without what cannot be printed. */
function text(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes.toString("latin1").replaceAll(/[^ -~]/g, "");
}
