import { cpSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { runTool } from "./process.js";

export const checkout = path.join(__dirname, "..", "..");

/** The package as `npm pack` makes it of this checkout's dist and prebuilds. */
export interface Packed {
  /** Path of the tarball. */
  tarball: string;
  files: { path: string; size: number }[];
}

/** Packs this checkout into `folder`. */
export async function pack(folder: string): Promise<Packed> {
  const args = ["pack", "--json", "--loglevel=error", "--pack-destination", folder];
  const [packed] = JSON.parse(await runTool("npm", args, { cwd: checkout })) as [
    { filename: string; files: { path: string; size: number }[] },
  ];
  return { tarball: path.join(folder, packed.filename), files: packed.files };
}

/** What `npm install` of a tarball takes in an empty project: no script, and no word to the registry that it can spare. */
export const installOptions = [
  "--ignore-scripts",
  "--no-audit",
  "--no-fund",
  "--prefer-offline",
  "--loglevel=error",
];

/** Makes an empty project of `folder` and installs the tarball there; gives the package's folder. */
export async function installPacked(tarball: string, folder: string): Promise<string> {
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true }));
  await runTool("npm", ["install", ...installOptions, tarball], { cwd: folder });
  return path.join(folder, "node_modules", "aws-hmac");
}

/** Gives an installed package this checkout's own build of the addon, where none was packed that fits. */
export function addOwnBuild(installed: string): "prebuild" | "own build" {
  const prebuilds = path.join(installed, "prebuilds", `${process.platform}-${process.arch}`);
  if (existsSync(prebuilds) && readdirSync(prebuilds).some((file) => file.endsWith(".node")))
    return "prebuild";
  const addon = path.join("build", "Release", "aws_hmac.node");
  cpSync(path.join(checkout, addon), path.join(installed, addon));
  return "own build";
}
