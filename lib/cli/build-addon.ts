#!/usr/bin/env node
// aws-hmac-build: builds the native addon from this package's sources, for systems that no prebuilt one suits.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import path from "node:path";
import process from "node:process";
import { addon } from "../binding/addon.js";
import { buildPackages } from "../binding/build-packages.js";
import { exitCodes } from "./failure.js";

const root = path.join(__dirname, "..", "..");
const cmakeJsVersion = "8.0.0";
const usage = `Usage: aws-hmac-build

Builds the native addon of aws-hmac for this machine, into ${path.join(root, "build", "Release")}.
From then on it is used instead of a prebuilt one. It needs a C++20 compiler, make, CMake, pkg-config
and the development packages of tpm2-tss, p11-kit and OpenSSL 3.`;

const succeeds = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { stdio: "ignore" }).status === 0;

/** What is missing here, by the names of the programs and of pkg-config's modules. */
function missing(): string[] {
  const lacks: string[] = [];
  const compiler = process.env.CXX ?? "c++";
  if (![compiler, "g++", "clang++"].some((name) => succeeds(name, "--version"))) lacks.push("g++");
  if (!succeeds("make", "--version") && !succeeds("ninja", "--version")) lacks.push("make");
  if (!succeeds("cmake", "--version")) lacks.push("cmake");
  if (!succeeds("pkg-config", "--version")) return [...lacks, "pkg-config"];
  const modules = ["tss2-esys", "tss2-tctildr", "tss2-mu", "tss2-rc", "p11-kit-1", "libcrypto >= 3.0"];
  return [...lacks, ...modules.filter((name) => !succeeds("pkg-config", "--exists", name))];
}

/** What installs everything: the command of this system, or those of all where it is another one. */
function remedy(): string {
  let release = "";
  try {
    release = readFileSync("/etc/os-release", "utf8");
  } catch {
    // a system without one
  }
  const ids = [...release.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)/gm)].flatMap(([, list = ""]) =>
    list.split(" "),
  );
  const own = buildPackages.find((system) => system.ids.some((id) => ids.includes(id)));
  return (own ? [own] : buildPackages)
    .map(({ name, install, packages }) => `  ${install} ${packages}${own ? "" : `   # ${name}`}`)
    .join("\n");
}

/** The program and its first arguments: the cmake-js that is installed, or one fetched for this. */
function cmakeJs(): [string, string[]] {
  try {
    return [process.execPath, [createRequire(path.join(root, "/")).resolve("cmake-js/bin/cmake-js")]];
  } catch {
    return ["npx", ["--yes", `cmake-js@${cmakeJsVersion}`]];
  }
}

function build(): number {
  const [program, first] = cmakeJs();
  const work = path.join(root, "build", "aws-hmac-build");
  const place = `--CDCMAKE_LIBRARY_OUTPUT_DIRECTORY=${path.join(root, "build", "Release")}`;
  const args = [
    ...first,
    "rebuild",
    "--parallel",
    String(availableParallelism()),
    "--log-level",
    "warn",
    "--directory",
    root,
    "--out",
    work,
    place,
  ];
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
  rmSync(work, { recursive: true, force: true });
  if (status !== 0) {
    console.error(
      `aws-hmac-build: ${error ? `${program}: ${error.message}` : "the build failed, see above"}`,
    );
    return exitCodes.failed;
  }
  addon(); // it is there; can it be loaded?
  console.log(`aws-hmac-build: the addon is in ${path.join(root, "build", "Release")}`);
  return exitCodes.done;
}

function run(args: string[]): number {
  if (args.length > 0) {
    const help = args.every((arg) => arg === "--help" || arg === "-h");
    console[help ? "log" : "error"](usage);
    return help ? exitCodes.done : exitCodes.usage;
  }
  if (process.platform !== "linux") {
    console.error(`aws-hmac-build: the addon needs Linux, not ${process.platform}`);
    return exitCodes.failed;
  }
  const lacks = missing();
  if (lacks.length > 0) {
    console.error(
      `aws-hmac-build: missing here: ${lacks.join(", ")}. Install\n${remedy()}\nand run this again.`,
    );
    return exitCodes.failed;
  }
  try {
    return build();
  } catch (error) {
    console.error(`aws-hmac-build: ${error instanceof Error ? error.message : error}`);
    return exitCodes.failed;
  }
}

process.exitCode = run(process.argv.slice(2));
