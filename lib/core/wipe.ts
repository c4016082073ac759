/**
 * Zeros to put secret bytes into, outside of V8's heap. There a typed array of up to 64 bytes would lie, and V8 leaves
 * copies behind, which nobody wipes, when it moves it or hands it to native code.
 */
export function secretBuffer(length: number): Buffer {
  return Buffer.from(new ArrayBuffer(length));
}

/** Overwrites secret bytes with zeros, in place. */
export function wipe(...secrets: (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}
