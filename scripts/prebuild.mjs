// npm run prebuild [-- --arch x64|arm64] [--verify]: the addons that the package ships, in prebuilds/.
// They are compiled in a Debian 11 root (build/prebuild/, kept for the next time) with their libraries linked in.
// (npm would run this before each `npm run build`, too, if .npmrc's ignore-scripts did not keep it from that.)
// --verify builds everything a second time, in folders of other names, and stops unless the addons are the same.
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { requireModules } from "./build.mjs";
import { checkAddon } from "./prebuild/check.mjs";
import { digest, makeRoot, runInside, sources } from "./prebuild/root.mjs";
import { root as checkout, program, Stop, say } from "./run.mjs";

const triplets = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" };
const read = (name) => readFileSync(path.join(checkout, name), "utf8");
const checksums = path.join(checkout, "prebuilds", "SHA256SUMS");

/** Builds the libraries for `arch` unless the root has them. Gives the path, in the root, of the folder they are in. */
async function buildLibraries(root, arch, variant) {
  const name = `${arch}-${digest(read("scripts/prebuild/libraries.sh"), sources)}${variant}`;
  const folder = `/libraries/${name}`;
  const stamp = path.join(root, folder, "complete");
  if (variant !== "" || !existsSync(stamp)) {
    say(
      `building tpm2-tss ${sources["tpm2-tss"].version} and p11-kit ${sources["p11-kit"].version} for ${arch}`,
    );
    rmSync(path.join(root, folder), { recursive: true, force: true });
    cpSync(path.join(checkout, "scripts/prebuild/libraries.sh"), path.join(root, "libraries.sh"));
    const versions = [sources["tpm2-tss"].version, sources["p11-kit"].version];
    await runInside(root, ["bash", "/libraries.sh", "/sources", folder, triplets[arch], ...versions]);
    writeFileSync(stamp, "");
  }
  return folder;
}

/** Builds, strips and checks the addon for `arch`. Gives its path outside of the root, its name and what the check found. */
async function buildAddon(root, arch, variant = "") {
  const libraries = await buildLibraries(root, arch, variant);
  const folder = `/addon/${arch}${variant}`;
  const outside = path.join(root, folder);
  rmSync(outside, { recursive: true, force: true });
  mkdirSync(path.join(outside, "node_modules"), { recursive: true });
  for (const name of ["CMakeLists.txt", "package.json", "native", "scripts"])
    cpSync(path.join(checkout, name), path.join(outside, name), { recursive: true });
  say(`building the addon for ${arch}`);
  const triplet = triplets[arch];
  const defines = {
    AWS_HMAC_DEPS: "static",
    AWS_HMAC_PREFIX: `${libraries}/usr`,
    AWS_HMAC_NODE_HEADERS: "/opt/node/include/node",
    CMAKE_SYSTEM_NAME: "Linux",
    CMAKE_C_COMPILER: `${triplet}-gcc`,
    CMAKE_CXX_COMPILER: `${triplet}-g++`,
  };
  const env = {
    MAKEFLAGS: "-j2",
    SOURCE_DATE_EPOCH: "0",
    CMAKE_DEFINES: Object.entries(defines)
      .map((pair) => pair.join("="))
      .join(" "),
  };
  const prebuildify = ["node", "node_modules/prebuildify/bin.js", "--napi", "--tag-libc", "--strip"];
  const options = [
    "--strip-bin",
    `${triplet}-strip`,
    "--arch",
    arch,
    "--node-gyp",
    "scripts/prebuild/node-gyp.mjs",
  ];
  await runInside(root, [...prebuildify, ...options], {
    cwd: folder,
    env,
    folders: [[path.join(checkout, "node_modules"), `${folder}/node_modules`]],
  });
  const name = `linux-${arch}/aws-hmac.glibc.node`;
  const file = `${folder}/prebuilds/${name}`;
  const bytes = readFileSync(path.join(root, file));
  const found = { ...checkAddon(root, file, arch), sha256: createHash("sha256").update(bytes).digest("hex") };
  return { name, bytes, ...found };
}

/** Puts an addon into prebuilds/ and its checksum into the list there. */
function keep({ name, bytes, sha256 }) {
  const place = path.join(checkout, "prebuilds", name);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(`${place}.new`, bytes, { mode: 0o755 });
  renameSync(`${place}.new`, place);
  const lines = existsSync(checksums) ? readFileSync(checksums, "utf8").split("\n") : [];
  const others = lines.filter((line) => line !== "" && !line.endsWith(` ${name}`));
  writeFileSync(checksums, `${[...others, `${sha256}  ${name}`].sort(byName).join("\n")}\n`);
}

const byName = (left, right) => left.slice(64).localeCompare(right.slice(64), "en");

await program(import.meta.url, async (args) => {
  const { values } = parseArgs({
    args,
    options: { arch: { type: "string" }, verify: { type: "boolean", default: false } },
  });
  if (values.arch !== undefined && !Object.hasOwn(triplets, values.arch))
    throw new Stop(`no such architecture: ${values.arch}. There are: ${Object.keys(triplets).join(" ")}`);
  await requireModules();
  const root = await makeRoot();
  for (const arch of values.arch ? [values.arch] : Object.keys(triplets)) {
    const addon = await buildAddon(root, arch);
    if (values.verify) {
      const again = await buildAddon(root, arch, "-again");
      if (again.sha256 !== addon.sha256)
        throw new Stop(`Two builds for ${arch} differ:\n  ${addon.sha256}\n  ${again.sha256}`);
      say(`two builds for ${arch} are the same, byte for byte`);
    }
    keep(addon);
    say(`prebuilds/${addon.name}: ${addon.size} bytes, glibc ${addon.glibc}, SHA-256 ${addon.sha256}`);
  }
});
