import { readFileSync, writeFileSync } from "node:fs";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { day, macOf, type TpmSuite } from "./tpm-suite.js";

/** The attributes of H-2 and of its RSA twin, as tpm2-tools name them. */
export const storageAttributes =
  "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";

/** An HMAC key without password that tpm2-tools make: k.pub, k.priv and k.ctx in the suite's folder. */
export interface ToolsKey {
  /** Paths of k.pub and k.priv. */
  blobs: { publicArea: string; privateArea: string };
  /** The same as options of the tools. */
  areas: string[];
  /** Makes parent.ctx, a primary with `storageAttributes` unless the options say otherwise. */
  createPrimary(...options: string[]): void;
  /** Makes the key under a parent; gives its MAC of the day by tpm2_hmac. */
  create(parent: string, ...parentAuth: string[]): string;
  /** The MAC of the day by tpm2_hmac with k.ctx; `-p` and what authorises it where it wants that. */
  theirMac(...auth: string[]): string;
  /** The path of the PEM that tpm2_encodeobject makes of the key; `-p` for one with a password. */
  encode(parent: string, ...options: "-p"[]): string;
  /** The MAC of the day by this package. */
  macHere(options: TpmKeyOptions): Promise<string>;
}

export function toolsKey(suite: TpmSuite): ToolsKey {
  const areas = ["-u", "k.pub", "-r", "k.priv"];
  const key: ToolsKey = {
    blobs: { publicArea: suite.file("k.pub"), privateArea: suite.file("k.priv") },
    areas,
    createPrimary: (...options) =>
      suite.toolAndFlush("tpm2_createprimary", "-c", "parent.ctx", "-a", storageAttributes, ...options),
    create(parent, ...parentAuth) {
      suite.toolAndFlush("tpm2_create", "-C", parent, ...parentAuth, "-G", "hmac", "-g", "sha256", ...areas);
      suite.toolAndFlush("tpm2_load", "-C", parent, ...parentAuth, ...areas, "-c", "k.ctx");
      return key.theirMac();
    },
    theirMac(...auth) {
      writeFileSync(suite.file("message"), day);
      suite.toolAndFlush("tpm2_hmac", "-c", "k.ctx", ...auth, "-g", "sha256", "-o", "mac", "message");
      return readFileSync(suite.file("mac")).toString("hex");
    },
    encode(parent, ...options) {
      suite.toolAndFlush("tpm2_encodeobject", "-C", parent, ...areas, ...options, "-o", "k.pem");
      return suite.file("k.pem");
    },
    async macHere(options) {
      const opened = await suite.open(options);
      const mac = await macOf(opened, day);
      await opened.close();
      return mac;
    },
  };
  return key;
}
