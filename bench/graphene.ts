import { type ITemplate, Module, SessionFlag } from "graphene-pk11";
import type { Pkcs11jsOptions } from "./pkcs11js.js";

export interface Graphene extends Disposable {
  /** Blocks the event loop while the token works. */
  sign(message: Buffer): Buffer;
  /** In libuv's thread pool, in a session that nobody else uses meanwhile. */
  signAsync(message: Buffer): Promise<Buffer>;
}

/** The peer graphene-pk11, classes over pkcs11js; as there, our own open key has initialised the module and logged in. */
export function openGraphene({ module, tokenLabel, label, sessions }: Pkcs11jsOptions): Graphene {
  const library = Module.load(module);
  const slots = library.getSlots(true);
  const slot = Array.from({ length: slots.length }, (_, index) => slots.items(index)).find(
    (one) => one.getToken().label.trim() === tokenLabel,
  );
  if (!slot) throw new Error(`graphene-pk11: no token ${tokenLabel}`);
  const free = Array.from({ length: sessions }, () => {
    const session = slot.open(SessionFlag.SERIAL_SESSION);
    const key = session
      .find({ label } satisfies ITemplate)
      .items(0)
      .toType();
    return { session, key };
  });
  const [first] = free;
  if (!first) throw new Error("graphene-pk11: no session");
  return {
    sign: (message) => first.session.createSign("SHA256_HMAC", first.key as never).once(message),
    async signAsync(message) {
      const one = free.pop();
      if (!one) throw new Error("graphene-pk11: more calls than sessions");
      const signature = await new Promise<Buffer>((resolve, reject) => {
        one.session
          .createSign("SHA256_HMAC", one.key as never)
          .once(message, (error, data) => (error ? reject(error) : resolve(data)));
      });
      free.push(one);
      return signature;
    },
    [Symbol.dispose]() {
      library.close();
    },
  };
}
