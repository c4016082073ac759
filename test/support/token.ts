import { runTool } from "./process.js";

/** A throwaway token behind a PKCS#11 module, for this process and, with `env`, for others. */
export interface TestToken {
  /** Path of the module. */
  module: string;
  /** What the module must be started with. */
  initArgs?: string;
  tokenLabel: string;
  pin: string;
  /** It gives keys out wrapped, whatever they say: imports must be told that this is all right. */
  allowWrapping?: true;
  /** The environment in which other programs see the token. */
  env: NodeJS.ProcessEnv;
  stop(): Promise<void>;
}

/** Runs pkcs11-tool on a token, or on a module without one; with `pin` it logs in. It takes no `initArgs`. */
export function pkcs11Tool(
  { module, tokenLabel, env }: Pick<TestToken, "module" | "env"> & { tokenLabel?: string },
  args: string[],
  pin?: string,
): Promise<string> {
  const token = tokenLabel === undefined ? [] : ["--token-label", tokenLabel];
  const login = pin === undefined ? [] : ["--login", "--pin", "env:PIN"];
  const options = { env: { ...env, ...(pin !== undefined && { PIN: pin }) } };
  return runTool("pkcs11-tool", ["--module", module, ...token, ...login, ...args], options);
}

/** Initialises the token in a module's first slot, and its user PIN. */
export async function initToken(
  { module, env }: Pick<TestToken, "module" | "env">,
  { label, pin, soPin }: { label: string; pin: string; soPin: string },
): Promise<void> {
  await pkcs11Tool({ module, env }, [
    "--init-token",
    "--slot-index",
    "0",
    "--label",
    label,
    "--so-pin",
    soPin,
  ]);
  const so = ["--login", "--login-type", "so", "--so-pin", soPin];
  await pkcs11Tool({ module, env, tokenLabel: label }, ["--init-pin", ...so, "--new-pin", pin]);
}
