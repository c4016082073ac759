// Other versions of Node, from npm, for the suites that run on every supported one.
import { existsSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { npm, root, say } from "./run.mjs";

/** The major versions that the package is tested on. */
export const supported = [20, 22, 24];

/** The path of a `node` of the major version, installed under build/nodes at the first call. */
export async function nodeBinary(major) {
  const name = `node-linux-${process.arch}`;
  const folder = path.join(root, "build", "nodes", String(major));
  const binary = path.join(folder, "node_modules", name, "bin", "node");
  if (!existsSync(binary)) {
    say(`installing Node ${major} from npm into ${path.relative(root, folder)}`);
    await npm([
      "install",
      "--prefix",
      folder,
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      `${name}@${major}`,
    ]);
  }
  return binary;
}
