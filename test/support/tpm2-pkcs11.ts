import { randomInt } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { modulePath } from "./module-path.js";
import { realProcess, runTool, temporaryFolder } from "./process.js";
import { startSwtpm } from "./swtpm.js";
import { initToken, type TestToken } from "./token.js";

/** A token of tpm2-pkcs11, into which only its own tool imports keys. */
export interface Tpm2Pkcs11 extends TestToken {
  /** `tpm2_ptool import --algorithm hmac:sha256` */
  put(key: Uint8Array, label: string): Promise<void>;
}

/** Makes a token in a software TPM of its own, for this process too: one at a time. */
export async function makeTpm2Pkcs11(): Promise<Tpm2Pkcs11> {
  const { tcti, stop } = await startSwtpm();
  const { folder, remove } = temporaryFolder("tpm2-pkcs11");
  const store = path.join(folder, "store");
  mkdirSync(store);
  const variables = {
    TPM2_PKCS11_STORE: store,
    TPM2_PKCS11_TCTI: tcti,
    TPM2_PKCS11_BACKEND: "esysdb",
    TPM2TOOLS_TCTI: tcti, // tpm2_ptool calls them
  };
  Object.assign(process.env, variables);
  Object.assign(realProcess.env, variables); // where the module looks
  const env = { ...process.env };
  const [pin, soPin] = [String(randomInt(1e9, 1e10)), String(randomInt(1e9, 1e10))];
  const token = { module: modulePath("libtpm2_pkcs11.so"), tokenLabel: "aws-hmac test", env };
  await initToken(token, { label: token.tokenLabel, pin, soPin });
  // Without a resource manager the tools' objects stay, and soon there is no room for more.
  const flush = (): Promise<string> => runTool("tpm2_flushcontext", ["--transient-object"], { env });
  return {
    ...token,
    pin,
    async put(key, label) {
      const file = path.join(folder, "key");
      writeFileSync(file, key, { mode: 0o600 });
      const where = ["--path", store, "--label", token.tokenLabel, "--userpin", pin];
      const what = ["--privkey", file, "--algorithm", "hmac:sha256", "--key-label", label];
      await flush();
      await runTool("tpm2_ptool", ["import", ...where, ...what], { env });
      await flush();
    },
    stop: async () => {
      await stop();
      remove();
      // p11-kit may start the module again in this process: not with what is gone.
      for (const name of Object.keys(variables)) delete realProcess.env[name];
    },
  };
}
