// What the images of examples/docker begin with, as root folders that debootstrap makes. Kept under build/rooms.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { nodeBinary, npmFolder } from "../nodes.mjs";
import { debianRoot } from "../rooms.mjs";
import { root, run, Stop, say } from "../run.mjs";

export const rooms = path.join(root, "build", "rooms");

// `packages` of the distroless image: those that its project's config.bzl names for base, cc and nodejs on Debian 13.
const bases = {
  "debian:12-slim": { suite: "bookworm" },
  "node:22-bookworm-slim": { suite: "bookworm", node: "/usr/local/bin/node", user: "node:1000" },
  "gcr.io/distroless/nodejs22-debian13:nonroot": {
    suite: "trixie",
    packages: [
      ...["base-files", "netbase", "tzdata", "tzdata-legacy", "media-types"],
      ...["libc6", "libssl3t64", "libzstd1", "zlib1g", "libgomp1", "libstdc++6", "libgcc-s1", "gcc-14-base"],
    ],
    node: "/nodejs/bin/node",
    user: "nonroot:65532",
  },
};

const quiet = { stdio: ["ignore", "ignore", "inherit"] };

const recipe = createHash("sha256")
  .update(readFileSync(fileURLToPath(import.meta.url)))
  .digest("hex")
  .slice(0, 12);

/** Makes a folder once for this recipe: what fails halfway leaves nothing that would be taken for it. */
async function once(name, make) {
  const folder = path.join(rooms, `${name}-${recipe}`);
  if (!existsSync(folder)) {
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    await make(unfinished);
    renameSync(unfinished, folder);
  }
  return folder;
}

/** A root of a Debian with its essential packages and certificates, which reaches the registries as this machine does. */
function debian(suite) {
  return once(`debian-${suite}`, async (folder) => {
    say(`making a root of Debian ${suite}: debootstrap`);
    const arch = execFileSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).trim();
    await run(debianRoot, ["make", folder, suite, arch, "ca-certificates"], quiet);
    await run(debianRoot, ["connect", folder], quiet);
  });
}

/** The packages' files and nothing else: no shell, no package manager. */
async function bare(folder, suite, packages) {
  const maker = await debian(suite);
  const download = path.join(maker, "var/cache/bare");
  rmSync(download, { recursive: true, force: true });
  mkdirSync(download);
  const fetch = ["sh", "-euc", 'apt-get -q -o APT::Sandbox::User=root download "$@"', "sh", ...packages];
  await run(debianRoot, ["enter", maker, "--in", "/var/cache/bare", "--", ...fetch], quiet);
  // Debian 13 has the programs and libraries under /usr alone.
  for (const name of ["bin", "lib", "lib64", "sbin"]) {
    mkdirSync(path.join(folder, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, path.join(folder, name));
  }
  const unpack =
    'for one in "$0"/*.deb; do dpkg-deb --fsys-tarfile "$one" | tar -x -C "$1" --keep-directory-symlink; done';
  await run("sh", ["-euc", unpack, download, folder]);
  mkdirSync(path.join(folder, "etc/ssl/certs"), { recursive: true });
  const authorities = "etc/ssl/certs/ca-certificates.crt";
  cpSync(path.join(maker, authorities), path.join(folder, authorities), { dereference: true });
  writeFileSync(path.join(folder, "etc/nsswitch.conf"), "hosts: files dns\n");
  writeFileSync(path.join(folder, "etc/passwd"), "root:x:0:0:root:/root:/sbin/nologin\n");
  writeFileSync(path.join(folder, "etc/group"), "root:x:0:\n");
}

/** The root of an image that a Dockerfile names in FROM, not to be changed. */
export async function baseRoot(image) {
  const base = bases[image];
  if (!base) throw new Stop(`no root is known for FROM ${image}`);
  const { suite, packages, node, user } = base;
  return once(`base-${image.replaceAll(/[/:]/g, "-")}`, async (folder) => {
    say(`making a root as of ${image}`);
    if (packages) await bare(folder, suite, packages);
    else await run("cp", ["-a", `${await debian(suite)}/.`, folder]);
    if (user) {
      const [name, id] = user.split(":");
      appendFileSync(path.join(folder, "etc/passwd"), `${name}:x:${id}:${id}::/home/${name}:/bin/sh\n`);
      appendFileSync(path.join(folder, "etc/group"), `${name}:x:${id}:\n`);
      mkdirSync(path.join(folder, "home", name), { recursive: true });
    }
    if (node) cpSync(await nodeBinary(22), path.join(folder, node));
    if (node && !packages) {
      const place = "usr/local/lib/node_modules/npm";
      cpSync(await npmFolder(), path.join(folder, place), { recursive: true });
      symlinkSync(`../lib/node_modules/npm/bin/npm-cli.js`, path.join(folder, "usr/local/bin/npm"));
    }
    for (const name of ["proc", "dev", "tmp", "run"]) mkdirSync(path.join(folder, name), { recursive: true });
  });
}
