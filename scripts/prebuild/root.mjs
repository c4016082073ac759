// The Debian 11 root that the prebuilt addons are made in: its glibc and compiler are what the addons must suit.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { debianRoot } from "../rooms.mjs";
import { root as checkout, exitCode, npm, run, Stop, say } from "../run.mjs";
import { requirePackages } from "../setup.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const cache = path.join(checkout, "build", "prebuild");
const mirror = process.env.DEBIAN_MIRROR ?? "http://deb.debian.org/debian";

/** What is compiled in, and the Node that runs cmake-js in there and has the headers of its OpenSSL. */
export const sources = JSON.parse(readFileSync(path.join(here, "sources.json"), "utf8"));

const suite = "bullseye";
const packages = [
  ...["build-essential", "crossbuild-essential-arm64", "cmake", "pkg-config", "xz-utils"],
  ...["autoconf", "autoconf-archive", "automake", "libtool", "libltdl-dev", "python3"],
];

/** A short name for everything in `parts`. */
export function digest(...parts) {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

/** The path of a file of sources.json; downloaded at the first call. Throws Stop unless it is the one meant. */
async function fetchSource({ path: place, npm: name, sha256 }) {
  const folder = path.join(cache, "sources");
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, place ? path.basename(place) : `${name.replace("@", "-")}.tgz`);
  if (!existsSync(file)) {
    say(`downloading ${path.basename(file)}`);
    const quiet = { stdio: ["ignore", "ignore", "inherit"] };
    if (place) await run("wget", ["-q", "-O", `${file}.part`, `${mirror}/${place}`], quiet);
    else await npm(["pack", name, "--pack-destination", folder], quiet);
    if (place) renameSync(`${file}.part`, file);
  }
  const found = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (found !== sha256) throw new Stop(`${file} has the SHA-256\n  ${found}, not\n  ${sha256}: remove it.`);
  return file;
}

/** Runs a program in the root, with processes and mounts that end with it. `folders`: [outside, inside] to be seen there. */
export async function runInside(folder, args, { cwd = "/", folders = [], env = {} } = {}) {
  const settings = { PATH: "/opt/node/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", TZ: "UTC", ...env };
  const options = [
    ...["--in", cwd],
    ...folders.flatMap(([outside, inside]) => ["--show", outside, inside]),
    ...Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]),
  ];
  const code = await exitCode(debianRoot, ["enter", folder, ...options, "--", ...args], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (code !== 0) throw new Stop(`failed (${code}) in ${folder}: ${args.join(" ")}`);
}

/** The path of the root, made at the first call: one for everything that has a say in what it holds. */
export async function makeRoot() {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Stop("The prebuilt addons are made on Linux, x64: for arm64 they are compiled across.");
  if (process.getuid() !== 0)
    throw new Stop("Prebuilding takes root: it makes a Debian 11 root and works in it.");
  const folder = path.join(cache, `root-${digest(suite, packages, sources)}`);
  if (existsSync(folder)) return folder;
  await requirePackages(["prebuild"]);
  const files = {};
  for (const [name, source] of Object.entries(sources)) files[name] = await fetchSource(source);
  mkdirSync(cache, { recursive: true });
  const made = mkdtempSync(path.join(cache, "making-"));
  try {
    say(`making a Debian 11 root in ${path.relative(checkout, folder)}`);
    await run(debianRoot, ["make", made, suite, "amd64", ...packages], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    for (const place of ["opt/node", "sources", "libraries", "addon"])
      mkdirSync(path.join(made, place), { recursive: true });
    await run("tar", ["-xf", files.node, "-C", path.join(made, "opt/node"), "--strip-components=1"]);
    for (const name of ["tpm2-tss", "p11-kit"])
      cpSync(files[name], path.join(made, "sources", path.basename(files[name])));
    rmSync(path.join(made, "var/cache/apt/archives"), { recursive: true });
    renameSync(made, folder);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return folder;
}

/** What a program of the root writes. */
export function outputInside(folder, args) {
  const { status, stdout, error } = spawnSync("chroot", [folder, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (error || status !== 0) throw new Stop(`failed (${error?.message ?? status}): ${args.join(" ")}`);
  return stdout;
}
