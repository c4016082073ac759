import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { modulePath } from "./module-path.js";
import { runTool, temporaryFolder } from "./process.js";
import type { TestToken } from "./token.js";

/** A throwaway database of NSS, whose token wants a login. */
export interface Nss extends TestToken {
  initArgs: string;
  allowWrapping: true;
  /** The names of its symmetric keys, as NSS's own tool lists them. */
  keys(): Promise<string>;
}

/** Makes an NSS database; a process has one at a time. */
export async function makeNss(): Promise<Nss> {
  const { folder, remove } = temporaryFolder("nss");
  const pin = `nss-${randomBytes(6).toString("hex")}-1`;
  const pinFile = path.join(folder, "pin");
  writeFileSync(pinFile, pin, { mode: 0o600 });
  const database = ["-d", `sql:${folder}`, "-f", pinFile];
  await runTool("certutil", ["-N", ...database]);
  return {
    module: modulePath("libsoftokn3.so"),
    initArgs: `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db'`,
    tokenLabel: "NSS Certificate DB",
    pin,
    allowWrapping: true,
    env: process.env,
    keys: () => runTool("symkeyutil", ["-L", ...database]),
    stop: async () => remove(),
  };
}
