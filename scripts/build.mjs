// npm run build: whatever a clean checkout lacks (system packages, npm packages), then the addon and dist/.
import { rmSync, statSync } from "node:fs";
import path from "node:path";
import { loadFolderOnUse } from "./load-on-use.mjs";
import { npm, program, root, run, say, tool } from "./run.mjs";
import { requirePackages } from "./setup.mjs";

const modified = (file) => statSync(path.join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Installs the npm packages of package-lock.json unless those in node_modules are as new as the lock. */
export async function requireModules() {
  if (modified("node_modules/.package-lock.json") >= modified("package-lock.json")) return;
  say("installing npm packages: npm ci");
  await npm(["ci"], { stdio: ["ignore", "inherit", "inherit"] });
}

/** Builds build/Release/aws_hmac.node (cmake compiles only what changed). */
export async function buildAddon() {
  await requirePackages(["build"]);
  await requireModules();
  say("building the addon: cmake-js build");
  await run(tool("cmake-js"), ["build", "--log-level", "warn"]);
}

/** Compiles lib/ into dist/. */
export async function compile() {
  await requireModules();
  say("compiling TypeScript: tsc");
  // A file whose source is gone must not linger: dist is what gets packed.
  const dist = path.join(root, "dist");
  rmSync(dist, { recursive: true, force: true });
  await run(tool("tsc"), ["-p", "tsconfig.json", "--emitDeclarationOnly"]);
  // The comments are in the declarations: twice, they would be a third of the package.
  await run(tool("tsc"), ["-p", "tsconfig.json", "--declaration", "false", "--removeComments"]);
  loadFolderOnUse(dist);
}

/** Builds everything that `require` of this checkout needs. */
export async function build() {
  await buildAddon();
  await compile();
}

await program(import.meta.url, build);
