// npm run lint: every check that does not run the code. All of them run; it fails when any fails.
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { build } from "./build.mjs";
import { exitCode, program, root, Stop, say, tool } from "./run.mjs";
import { requirePackages } from "./setup.mjs";

/** The files under a folder whose names end so, relative to the checkout. */
function files(folder, ...endings) {
  return readdirSync(path.join(root, folder), { recursive: true })
    .filter((file) => endings.some((ending) => file.endsWith(ending)))
    .map((file) => path.join(folder, file));
}

/** Runs clang-tidy on each file, as many at a time as there are cores; gives the number of files it objects to. */
async function clangTidy(sources) {
  const waiting = [...sources];
  let objections = 0;
  const work = async () => {
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      try {
        await promisify(execFile)("clang-tidy", ["-p", "build", "--quiet", file], { cwd: root });
      } catch (error) {
        objections++;
        console.error(error.stdout || error.message);
      }
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, work));
  return objections;
}

await program(import.meta.url, async () => {
  await requirePackages(["build", "lint"]);
  await build();
  const native = [...files("native", ".cc", ".h"), ...files("test/native", ".cc", ".h")];
  const checks = {
    biome: () => exitCode(tool("biome"), ["ci"]),
    "tsc, tests and examples too": () => exitCode(tool("tsc"), ["-p", "tsconfig.dev.json"]),
    "clang-format": () => exitCode("clang-format", ["--dry-run", "-Werror", ...native]),
    "clang-tidy": () => clangTidy(files("native", ".cc")),
    publint: () => exitCode(tool("publint"), ["--strict"]),
    "are the types wrong?": () => exitCode(tool("attw"), ["--pack", "."]),
  };
  const failed = [];
  for (const [name, check] of Object.entries(checks)) {
    say(name);
    if ((await check()) !== 0) failed.push(name);
  }
  if (failed.length > 0) throw new Stop(`lint failed: ${failed.join("; ")}`);
});
