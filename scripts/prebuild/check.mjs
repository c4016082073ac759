// What must be true of a prebuilt addon, whoever built it.
import { statSync } from "node:fs";
import path from "node:path";
import { Stop } from "../run.mjs";
import { outputInside } from "./root.mjs";

const newestGlibc = "2.28"; // Node's own
const largest = 2_500_000; // bytes
const needed =
  /^(libc\.so\.6|libdl\.so\.2|libm\.so\.6|libpthread\.so\.0|ld-linux-(x86-64\.so\.2|aarch64\.so\.1))$/;
const exported = ["napi_register_module_v1", "node_api_module_get_api_version_v1"];
const machines = { x64: "Advanced Micro Devices X86-64", arm64: "AArch64" };

const isNewer = (left, right) => left.localeCompare(right, "en", { numeric: true }) > 0;
const words = (list) => list.join(", ");

/** Throws Stop with everything that is wrong with an addon; `file` is its path in the root. Gives its glibc floor and size. */
export function checkAddon(root, file, arch) {
  const readelf = (...options) => outputInside(root, ["readelf", "--wide", ...options, file]);
  const all = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1]);
  const faults = [];

  const machine = all(readelf("--file-header"), /Machine:\s+(.+)/g).join();
  if (machine !== machines[arch]) faults.push(`it is for ${machine}`);

  const dynamic = readelf("--dynamic");
  const foreign = all(dynamic, /\(NEEDED\).*\[(.+)\]/g).filter((library) => !needed.test(library));
  if (foreign.length > 0) faults.push(`it needs ${words(foreign)}, which a bare system may lack`);
  if (!/FLAGS_1.*NODELETE/.test(dynamic)) faults.push("it is not linked with -z nodelete");
  if (!/FLAGS_1.*NOW/.test(dynamic)) faults.push("it is not linked with -z now");
  if (/RPATH|RUNPATH/.test(dynamic)) faults.push("it has a run path");

  const versions = all(readelf("--version-info"), /Name: GLIBC_([\d.]+)/g);
  const glibc = versions.reduce((newest, version) => (isNewer(version, newest) ? version : newest), "0");
  if (versions.length === 0) faults.push("it asks for no version of glibc");
  if (isNewer(glibc, newestGlibc))
    faults.push(`it needs glibc ${glibc}: ${newestGlibc} is the newest it may`);

  const symbols = readelf("--dyn-syms");
  const given = all(symbols, /(?:GLOBAL|WEAK|UNIQUE)\s+\S+\s+\d+ (\S+)/g).sort();
  if (given.join() !== exported.join()) faults.push(`it exports ${words(given)}, not ${words(exported)}`);
  if (/GNU_STACK.*RWE/.test(readelf("--program-headers"))) faults.push("its stack is executable");
  if (/\.symtab/.test(readelf("--section-headers"))) faults.push("it is not stripped");

  const { size } = statSync(path.join(root, file));
  if (size > largest) faults.push(`it has ${size} bytes: ${largest} are the most it may`);
  if (faults.length > 0)
    throw new Stop(`The addon for ${arch} is not fit to be shipped:\n  ${faults.join("\n  ")}`);
  return { glibc, size };
}
