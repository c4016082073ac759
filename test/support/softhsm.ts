import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { realProcess, runTool, temporaryFolder } from "./process.js";
import type { TestToken } from "./token.js";

/** A token of a throwaway SoftHSM. */
export interface SoftHsmToken {
  tokenLabel: string;
  serial: string;
  slotId: number;
  pin: string;
}

/** A throwaway SoftHSM with one token, whose members these are. */
export interface SoftHsm extends SoftHsmToken {
  /** Path of the PKCS#11 module. */
  module: string;
  /** Path of softhsm2.conf: SOFTHSM2_CONF in this process and in its children. */
  conf: string;
  /** The environment in which other programs see the tokens. */
  env: NodeJS.ProcessEnv;
  /** One more token; a process sees it from when it next starts the module. */
  addToken(tokenLabel: string): Promise<SoftHsmToken>;
  remove(): void;
}

// Where Debian, Fedora and Arch put it.
const modules = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];

/** Makes a SoftHSM of its own and points this process to it: close all keys of an earlier one first. */
export async function makeSoftHsm(tokenLabel = "aws-hmac test"): Promise<SoftHsm> {
  const module = modules.find((file) => existsSync(file));
  if (module === undefined) throw new Error(`no SoftHSM module: ${modules.join(", ")}`);
  const { folder, remove } = temporaryFolder("softhsm");
  const tokens = path.join(folder, "tokens");
  const conf = path.join(folder, "softhsm2.conf");
  mkdirSync(tokens);
  writeFileSync(conf, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  process.env.SOFTHSM2_CONF = conf;
  realProcess.env.SOFTHSM2_CONF = conf; // where the module looks
  const env = { ...process.env, SOFTHSM2_CONF: conf };
  const addToken = (label: string): Promise<SoftHsmToken> => initToken(label, env);
  return { ...(await addToken(tokenLabel)), module, conf, env, addToken, remove };
}

async function initToken(tokenLabel: string, env: NodeJS.ProcessEnv): Promise<SoftHsmToken> {
  const pin = randomBytes(6).toString("hex");
  const args = ["--init-token", "--free", "--label", tokenLabel, "--pin", pin, "--so-pin", pin];
  const stdout = await runTool("softhsm2-util", args, { env });
  const slotId = Number(/reassigned to slot (\d+)/.exec(stdout)?.[1]);
  const slots = (await runTool("softhsm2-util", ["--show-slots"], { env })).split(/^Slot /m);
  const slot = slots.find((text) => text.startsWith(`${slotId}\n`));
  const serial = /Serial number: +(\S+)/.exec(slot ?? "")?.[1];
  if (serial === undefined) throw new Error(`softhsm2-util made no token: ${stdout}`);
  return { tokenLabel, serial, slotId, pin };
}

/** A throwaway SoftHSM as one of several kinds of tokens. */
export async function softHsmToken(): Promise<TestToken> {
  const { module, tokenLabel, pin, env, remove } = await makeSoftHsm();
  return { module, tokenLabel, pin, env, stop: async () => remove() };
}
