// Other versions of Node, from npm, for the suites that run on every supported one.
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { npm, root, say } from "./run.mjs";

/** The major versions that the package is tested on. */
export const supported = [20, 22, 24];

/** The folder of a package from npm at a version, installed under build/nodes at the first call. */
async function install(name, version, place, arch = process.arch) {
  const folder = path.join(root, "build", "nodes", place);
  const installed = path.join(folder, "node_modules", name);
  if (!existsSync(path.join(installed, "package.json"))) {
    say(`installing ${name} ${version} from npm into ${path.relative(root, folder)}`);
    const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    if (arch !== process.arch) options.push("--force"); // npm does not know of emulators
    await npm(["install", "--prefix", folder, ...options, `${name}@${version}`]);
  }
  return installed;
}

/** The folder of Node of a major version, for this machine or another: `bin/node` is in it. */
export function nodeFolder(major, arch = process.arch) {
  const place = arch === process.arch ? String(major) : `${major}-${arch}`;
  return install(`node-linux-${arch}`, major, place, arch);
}

/** The path of a `node` of the major version. */
export async function nodeBinary(major) {
  return path.join(await nodeFolder(major), "bin", "node");
}

/** The folder of the npm that comes with Node 20 and 22. */
export function npmFolder() {
  return install("npm", 10, "npm");
}
