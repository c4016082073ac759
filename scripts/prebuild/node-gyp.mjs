#!/usr/bin/env node
// What prebuildify runs in node-gyp's place: `rebuild --target=… --devdir=… --arch=… --release`. cmake-js would take
// --target for a target of CMake's, so only what it knows is handed on. CMAKE_DEFINES: further NAME=VALUE, by spaces.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import process from "node:process";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({ strict: false, allowPositionals: true });
const cmakeJs = createRequire(import.meta.url).resolve("cmake-js/bin/cmake-js");
const defines = (process.env.CMAKE_DEFINES ?? "").split(" ").filter(Boolean);
const args = [cmakeJs, ...positionals, "--arch", values.arch, "--log-level", "warn"];
const { status } = spawnSync(process.execPath, [...args, ...defines.map((define) => `--CD${define}`)], {
  stdio: "inherit",
});
process.exit(status ?? 1);
