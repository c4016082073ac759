// node scripts/moto.mjs: installs moto, a server that imitates AWS, for the tests.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { program, root, run, say } from "./run.mjs";

const version = "5.2.5";
const folder = path.join(root, "build", "moto");
const stamp = path.join(folder, "version");

/** The server program, once `installMoto` has run. */
export const motoServer = path.join(folder, "bin", "moto_server");

/**
 * Installs moto from PyPI into a Python environment of its own under build/moto, unless it is there.
 * Needs python3 with the venv module.
 */
export async function installMoto() {
  if (existsSync(motoServer) && existsSync(stamp) && readFileSync(stamp, "utf8") === version) return;
  say(`installing moto ${version} into build/moto`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.dirname(folder), { recursive: true });
  await run("python3", ["-m", "venv", folder]);
  const package_ = `moto[server]==${version}`;
  await run(path.join(folder, "bin", "pip"), ["install", "--quiet", "--disable-pip-version-check", package_]);
  writeFileSync(stamp, version);
}

await program(import.meta.url, installMoto);
