// npm run bench [-- tpm|pkcs11|memory|sign|start…] [--seconds N] [--rounds N]: see bench/README.md.
import { build } from "./build.mjs";
import { program, run, say, tool } from "./run.mjs";
import { requirePackages } from "./setup.mjs";
import { useOwnTemporaryFolder } from "./temporary.mjs";

const folder = "build/bench";

/** Builds the C loops, and pkcs11js's addon, which no install script has built. */
async function buildPeers() {
  say("building the C loops and pkcs11js");
  await run("cmake", ["-S", "bench/native", "-B", folder, "--log-level=WARNING"]);
  await run("cmake", ["--build", folder, "--", "--silent"]);
}

await program(import.meta.url, async (args) => {
  useOwnTemporaryFolder();
  await requirePackages(["build", "devices"]);
  await build();
  await buildPeers();
  await run(tool("tsx"), ["bench/main.ts", ...args]);
});
