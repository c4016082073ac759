// npm run test:package [-- --arch x64|arm64] [--suite bookworm] [--node 22]: the tarball in bare Debians, all of them by
// default, or in Ubuntu's jammy, and the contract suites on this machine's prebuild alone. Needs `npm run prebuild` before, and
// root. Each option may be given more than once.
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { compile } from "./build.mjs";
import { nodeFolder, npmFolder, supported } from "./nodes.mjs";
import { installPython } from "./python.mjs";
import { printResults } from "./results.mjs";
import { debians, makeRooms, ubuntus } from "./rooms.mjs";
import { npm, program, root, Stop, say } from "./run.mjs";
import { requirePackages } from "./setup.mjs";
import { useOwnTemporaryFolder } from "./temporary.mjs";
import { jest } from "./test.mjs";

const architectures = ["x64", "arm64"];
const config = path.join("test", "package", "rooms", "jest.config.cjs");

/** What was asked for of one option, or its default. */
function chosen(name, given, all, otherwise = all) {
  const unknown = (given ?? []).filter((value) => !all.includes(value));
  if (unknown.length > 0) throw new Stop(`--${name} takes ${all.join(", ")}, not ${unknown.join(" ")}`);
  return given ?? otherwise;
}

/** Stops unless the addon was built for the architecture. */
export function requirePrebuild(arch) {
  const folder = path.join(root, "prebuilds", `linux-${arch}`);
  if (existsSync(folder) && readdirSync(folder).some((file) => file.endsWith(".node"))) return;
  throw new Stop(`There is no prebuild for linux-${arch}: npm run prebuild -- --arch ${arch}`);
}

/** The path of the tarball that npm would publish. */
async function pack() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "tarball-"));
  await npm(["pack", "--loglevel=error", "--pack-destination", folder]);
  return path.join(folder, readdirSync(folder)[0]);
}

await program(import.meta.url, async (args) => {
  const list = { type: "string", multiple: true };
  const { values } = parseArgs({ args, options: { arch: list, suite: list, node: list } });
  const archs = chosen("arch", values.arch, architectures);
  const suites = chosen("suite", values.suite, [...debians, ...ubuntus], debians);
  const nodes = chosen("node", values.node, supported.map(String));
  useOwnTemporaryFolder();
  for (const arch of archs) requirePrebuild(arch);
  await requirePackages(["devices", "package"]);
  await installPython();
  await compile();

  const tarball = await pack();
  const results = [];
  if (archs.includes(process.arch)) {
    process.env.PREBUILDS_ONLY = "1";
    results.push(
      await jest(process.execPath, `contract on the prebuild, ${process.arch}`, ["test/contract"]),
    );
    delete process.env.PREBUILDS_ONLY;
  }
  for (const arch of archs) {
    const rooms = Object.fromEntries(
      await Promise.all(suites.map(async (suite) => [suite, await makeRooms(suite, arch)])),
    );
    const binaries = {};
    for (const node of nodes) binaries[node] = await nodeFolder(node, arch);
    const plan = {
      arch,
      isNative: arch === process.arch,
      tarball,
      npm: await npmFolder(),
      nodes: binaries,
      rooms,
    };
    process.env.AWS_HMAC_ROOMS = JSON.stringify(plan);
    const files = suites.map((suite) => path.join("test", "package", "rooms", `${suite}.room.ts`));
    say(`the tarball in ${suites.join(", ")} for ${arch}, Node ${nodes.join(", ")}`);
    const name = `tarball, ${arch}: ${suites.join(", ")}, Node ${nodes.join(", ")}`;
    results.push(await jest(process.execPath, name, ["--config", config, ...files]));
  }
  printResults(results);
  // Here a skipped test is one that nobody has run.
  if (results.some(({ passed, skipped }) => passed === 0 || skipped > 0)) process.exitCode = 1;
});
