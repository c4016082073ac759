import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { modulePath } from "./module-path.js";
import { runTool, temporaryFolder } from "./process.js";
import { makeProxyModule } from "./proxy-module.js";
import { pkcs11Tool, type TestToken } from "./token.js";

/** A throwaway database of NSS, whose token wants a login. */
export interface Nss extends TestToken {
  initArgs: string;
  allowWrapping: true;
  /** The names of its symmetric keys, as NSS's own tool lists them. */
  keys(): Promise<string>;
  /** Puts an AES key that may unwrap into it, with pkcs11-tool: NSS's own tool forgets those that it imports. */
  putAes(key: Uint8Array, label: string): Promise<void>;
}

/** Makes an NSS database; a process has one at a time. */
export async function makeNss(): Promise<Nss> {
  const { folder, remove } = temporaryFolder("nss");
  const pin = `nss-${randomBytes(6).toString("hex")}-1`;
  const pinFile = path.join(folder, "pin");
  writeFileSync(pinFile, pin, { mode: 0o600 });
  const database = ["-d", `sql:${folder}`, "-f", pinFile];
  await runTool("certutil", ["-N", ...database]);
  const token = {
    module: modulePath("libsoftokn3.so"),
    initArgs: `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db'`,
    tokenLabel: "NSS Certificate DB",
  };
  return {
    ...token,
    pin,
    allowWrapping: true,
    env: process.env,
    async putAes(key, label) {
      const file = path.join(folder, "aes");
      writeFileSync(file, key, { mode: 0o600 });
      const proxy = await makeProxyModule(token.module); // which gives NSS the string that pkcs11-tool cannot
      const env = { ...proxy.env, AWS_HMAC_PROXY_RESERVED: token.initArgs };
      const what = ["--type", "secrkey", "--key-type", `AES:${key.length}`, "--usage-wrap", "--label", label];
      try {
        await pkcs11Tool({ ...token, module: proxy.module, env }, ["--write-object", file, ...what], pin);
      } finally {
        proxy.remove();
      }
    },
    keys: () => runTool("symkeyutil", ["-L", ...database]),
    stop: async () => remove(),
  };
}
