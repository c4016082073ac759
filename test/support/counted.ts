import type { HmacKey } from "../../lib/core/hmac-key.js";

/** `key`, with a record of what it was asked. */
export function counted(key: HmacKey): HmacKey & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    backend: key.backend,
    ...(key.closed ? { closed: key.closed } : {}),
    mac(message, options) {
      asked.push(Buffer.from(message).toString());
      return key.mac(message, options);
    },
    close: () => key.close(),
    [Symbol.asyncDispose]: () => key.close(),
  };
}
