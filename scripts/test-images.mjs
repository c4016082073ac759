// npm run test:images: what docs/docker.md says, without an engine: scripts/images. Needs `npm run prebuild` before, and root.
import path from "node:path";
import process from "node:process";
import { compile } from "./build.mjs";
import { installPython } from "./python.mjs";
import { printResults } from "./results.mjs";
import { program } from "./run.mjs";
import { requirePackages } from "./setup.mjs";
import { useOwnTemporaryFolder } from "./temporary.mjs";
import { jest } from "./test.mjs";
import { requirePrebuild } from "./test-package.mjs";

await program(import.meta.url, async () => {
  useOwnTemporaryFolder();
  requirePrebuild(process.arch);
  await requirePackages(["devices", "servers", "package"]);
  await installPython();
  await compile();
  const config = path.join("test", "package", "images", "jest.config.cjs");
  const result = await jest(process.execPath, "images", ["--config", config]);
  printResults([result]);
  // Here a skipped test is one that nobody has run.
  if (result.passed === 0 || result.skipped > 0) process.exitCode = 1;
});
