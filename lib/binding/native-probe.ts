/** What an import checks before it keeps a key. */
export interface NativeProbe {
  probeMessage: Uint8Array;
  /** 32 bytes. */
  probeMac: Uint8Array;
}
