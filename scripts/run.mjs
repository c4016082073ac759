// What every script here shares. Only node: modules: the scripts start before `npm ci` has run.
import { spawn } from "node:child_process";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** A reason to stop that is told in words, without a stack trace. */
export class Stop extends Error {}

/** Says what a script is about to do. */
export function say(text) {
  console.log(`» ${text}`);
}

/** The path of a program that a development dependency brings. */
export function tool(name) {
  return path.join(root, "node_modules", ".bin", name);
}

/**
 * Runs a program in the checkout with our standard streams. `options` are those of `spawn`.
 * Gives its exit code, as a shell does: 128 and more when a signal ended it. Throws Stop when it cannot start.
 */
export function exitCode(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: "inherit", ...options });
    // An abort, by `options.signal`, shows as the signal that ended the child.
    child.once(
      "error",
      (error) => error.name === "AbortError" || reject(new Stop(`${program}: ${error.message}`)),
    );
    child.once("exit", (code, signal) => resolve(code ?? 128 + os.constants.signals[signal]));
  });
}

/** Runs a program as `exitCode` does and throws Stop unless it exits with 0. */
export async function run(program, args, options) {
  const code = await exitCode(program, args, options);
  if (code !== 0) throw new Stop(`failed (${code}): ${path.basename(program)} ${args.join(" ")}`);
}

/** Runs npm in the checkout: the one that started us, else the one on the PATH. */
export function npm(args, options) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith(".js") ? run(process.execPath, [cli, ...args], options) : run("npm", args, options);
}

/** Stops on a Node that package.json's `engines` leaves out: Debian 12's own is one. */
function requireNode() {
  const oldest = "20.17.0";
  if (oldest.localeCompare(process.versions.node, "en", { numeric: true }) > 0)
    throw new Stop(
      `This is Node ${process.versions.node}; it takes ${oldest} or newer, from https://nodejs.org`,
    );
}

/** Runs `work` when the module at `url` is the program that was started, and turns Stop into exit code 1. */
export async function program(url, work) {
  if (path.resolve(process.argv[1] ?? "") !== fileURLToPath(url)) return;
  try {
    requireNode();
    await work(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}
