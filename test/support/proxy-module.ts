import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { realProcess, runTool, temporaryFolder } from "./process.js";

/** A PKCS#11 module that hands calls on to another one, and misbehaves as told: see test/native/proxy_module.c. */
export interface ProxyModule {
  /** Its path. */
  module: string;
  /** The environment in which other programs, too, find the module behind it. */
  env: NodeJS.ProcessEnv;
  /** Follows these instructions from now on, and no earlier ones, e.g. `fail C_Sign 0xb3 1`. */
  instruct(...lines: string[]): void;
  /** The calls so far, in their order: `C_OpenSession`, `C_Login pin`, … */
  calls(): string[];
  remove(): void;
}

const source = path.join(__dirname, "..", "native", "proxy_module.c");

/** Builds the proxy and puts it before the module `behind`, for this process too: one at a time. */
export async function makeProxyModule(behind: string): Promise<ProxyModule> {
  const { folder, remove } = temporaryFolder("proxy");
  const module = path.join(folder, "proxy.so");
  const control = path.join(folder, "control");
  const log = path.join(folder, "log");
  const flags = (await runTool("pkg-config", ["--cflags", "p11-kit-1"])).trim().split(/\s+/);
  const options = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"];
  await runTool("cc", [...options, ...flags, "-o", module, source]);
  const variables = {
    AWS_HMAC_PROXY_MODULE: behind,
    AWS_HMAC_PROXY_CONTROL: control,
    AWS_HMAC_PROXY_LOG: log,
  };
  Object.assign(process.env, variables);
  Object.assign(realProcess.env, variables); // where the module looks
  return {
    module,
    env: { ...process.env },
    instruct(...lines) {
      writeFileSync(`${control}.new`, lines.map((line) => `${line}\n`).join(""));
      renameSync(`${control}.new`, control);
    },
    calls: () => (existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : []),
    remove,
  };
}
