import { readFileSync } from "node:fs";
import type { TpmSuite } from "./tpm-suite.js";

/** A tool of tpm2-tools and its arguments, without the session and the digest. */
export type PolicyTool = [tool: string, ...args: string[]];

/** The digest, in hexadecimal, that these tools reach in a trial session, and the file that they leave it in. */
export function trialDigest(suite: TpmSuite, file: string, ...tools: PolicyTool[]): string {
  suite.tool("tpm2_startauthsession", "-S", "trial.ctx");
  for (const [tool, ...args] of tools) suite.tool(tool, "-S", "trial.ctx", "-L", file, ...args);
  suite.tool("tpm2_flushcontext", "trial.ctx");
  return readFileSync(suite.file(file)).toString("hex");
}
