import { CKA_CLASS, CKA_LABEL, CKF_SERIAL_SESSION, CKM_SHA256_HMAC, CKO_SECRET_KEY, PKCS11 } from "pkcs11js";

export interface Pkcs11js extends Disposable {
  /** Blocks the event loop while the token works. */
  sign(message: Buffer): Buffer;
  /** C_Sign in libuv's thread pool, in a session that nobody else uses meanwhile (C_SignInit blocks all the same). */
  signAsync(message: Buffer): Promise<Buffer>;
}

export interface Pkcs11jsOptions {
  module: string;
  tokenLabel: string;
  label: string;
  /** How many sessions to open: signAsync needs one for each call in flight. */
  sessions: number;
}

/**
 * The peer: a key of a token through pkcs11js. A process has one instance of a module, so our own open key has
 * initialised it and logged in already.
 */
export function openPkcs11js({ module, tokenLabel, label, sessions }: Pkcs11jsOptions): Pkcs11js {
  const library = new PKCS11(module);
  const slot = library
    .C_GetSlotList(true)
    .find((id) => library.C_GetTokenInfo(id).label.trim() === tokenLabel);
  if (!slot) throw new Error(`pkcs11js: no token ${tokenLabel}`);
  const free = Array.from({ length: sessions }, () => library.C_OpenSession(slot, CKF_SERIAL_SESSION));
  const [first] = free;
  if (!first) throw new Error("pkcs11js: no session");
  const mechanism = { mechanism: CKM_SHA256_HMAC };
  const out = (): Buffer => Buffer.allocUnsafe(64);

  library.C_FindObjectsInit(first, [
    { type: CKA_CLASS, value: CKO_SECRET_KEY },
    { type: CKA_LABEL, value: label },
  ]);
  const object = library.C_FindObjects(first);
  library.C_FindObjectsFinal(first);
  if (!object) throw new Error(`pkcs11js: no key ${label}`);

  return {
    sign(message) {
      library.C_SignInit(first, mechanism, object);
      return library.C_Sign(first, message, out());
    },
    async signAsync(message) {
      const session = free.pop();
      if (!session) throw new Error("pkcs11js: more calls than sessions");
      library.C_SignInit(session, mechanism, object);
      const signature = await library.C_SignAsync(session, message, out());
      free.push(session);
      return signature;
    },
    [Symbol.dispose]() {
      library.close();
    },
  };
}
