import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const version = "5.2.5";
const folder = fileURLToPath(new URL("../build/moto", import.meta.url));
const stamp = path.join(folder, "version");

/** The moto server program, once `installMoto` has run. */
export const motoServer = path.join(folder, "bin", "moto_server");

/** Whether the wanted version of moto is installed under build/moto. */
export function motoInstalled() {
  return existsSync(motoServer) && existsSync(stamp) && readFileSync(stamp, "utf8") === version;
}

/**
 * Installs moto, a server that imitates AWS, from PyPI into a Python environment of its own under build/moto.
 * Does nothing when it is there. Needs python3 with the venv module.
 */
export function installMoto() {
  if (motoInstalled()) return;
  console.log(`Installing moto ${version} into build/moto`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.dirname(folder), { recursive: true });
  execFileSync("python3", ["-m", "venv", folder], { stdio: "inherit" });
  const pip = ["install", "--quiet", "--disable-pip-version-check", `moto[server]==${version}`];
  execFileSync(path.join(folder, "bin", "pip"), pip, { stdio: "inherit" });
  writeFileSync(stamp, version);
}
