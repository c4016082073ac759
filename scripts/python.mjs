// node scripts/python.mjs: installs what the tests take from PyPI: the AWS CLI, moto, OpenBao's server, Tink.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { program, root, run, say } from "./run.mjs";

const requirements = path.join(root, "scripts", "python-requirements.txt");
const folder = path.join(root, "build", "python");
const stamp = path.join(folder, "requirements.txt");

/**
 * Installs the requirements from PyPI into a Python environment of its own under build/python, unless they are there.
 * Needs python3 (3.10 or later) with the venv module.
 */
export async function installPython() {
  const wanted = readFileSync(requirements, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say("installing the AWS CLI, moto, OpenBao and Tink from PyPI into build/python");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.dirname(folder), { recursive: true });
  await run("python3", ["-m", "venv", folder]);
  const install = ["install", "--quiet", "--disable-pip-version-check", "-r", requirements];
  await run(path.join(folder, "bin", "pip"), install);
  writeFileSync(stamp, wanted);
}

await program(import.meta.url, installPython);
