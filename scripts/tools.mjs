// Tools that are installed apart from the checkout's own packages: each folder has a lock and a node_modules of its own.
import { statSync } from "node:fs";
import path from "node:path";
import { npm, root, say } from "./run.mjs";

const modified = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** The path of a program that the packages of `folder` bring; installs them unless they are as new as the lock. */
export async function requireTool(folder, name) {
  const place = path.join(root, folder);
  const lock = path.join(place, "package-lock.json");
  if (modified(path.join(place, "node_modules", ".package-lock.json")) < modified(lock)) {
    say(`installing what ${folder} needs: npm ci`);
    const flags = ["--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"];
    await npm(["ci", ...flags], { cwd: place, stdio: ["ignore", "inherit", "inherit"] });
  }
  return path.join(place, "node_modules", ".bin", name);
}
