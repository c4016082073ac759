// npm run setup [GROUP…]: installs the system packages that building, the demo, the tests and lint need.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { program, run, Stop, say } from "./run.mjs";

/** The packages of Debian 12 and 13, which have them under the same names, by what they are for. */
export const groups = {
  build: ["g++", "make", "cmake", "pkg-config", "libtss2-dev", "libssl-dev", "libp11-kit-dev"],
  devices: [
    "swtpm",
    "tpm2-tools",
    "openssl",
    "socat",
    "softhsm2",
    "p11-kit",
    "p11-kit-modules",
    "opensc",
    "parallel",
    "gnutls-bin",
  ],
  tokens: ["libnss3", "libnss3-tools", "opencryptoki", "libtpm2-pkcs11-1", "libtpm2-pkcs11-tools"],
  servers: ["ceph-mon", "ceph-osd", "radosgw", "python3-venv"],
  native: ["libgtest-dev"],
  prebuild: ["debootstrap", "wget"],
  lint: ["clang-format", "clang-tidy"],
  package: ["debootstrap", "qemu-user-static", "python3-venv"],
};

/** Those of `packages` that dpkg does not know as installed. */
function missing(packages) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const format = "${Package} ${db:Status-Status}\n";
  const query = spawnSync("dpkg-query", ["-W", "-f", format, ...packages], { encoding: "utf8" });
  if (query.error) throw query.error;
  const installed = new Set(query.stdout.split("\n").filter((line) => line.endsWith(" installed")));
  return packages.filter((name) => !installed.has(`${name} installed`));
}

/** Whether this is Debian, Ubuntu or a system made of one of them. */
function hasApt() {
  if (process.platform !== "linux") return false;
  const release = readFileSync("/etc/os-release", "utf8");
  return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(release);
}

/**
 * Sees to it that the packages of the named groups are installed: with apt-get when we are root; otherwise
 * throws Stop, whose message is the command to run. Says nothing when nothing is missing.
 * With AWS_HMAC_SKIP_SETUP=1 nothing is looked at: for systems where the software has other names.
 */
export async function requirePackages(names) {
  if (process.env.AWS_HMAC_SKIP_SETUP === "1") return;
  const packages = names.flatMap((name) => groups[name]);
  if (!hasApt())
    throw new Stop(
      `This is neither Debian nor Ubuntu, so nothing was installed. Needed, by Debian's names:\n  ${packages.join(" ")}\n` +
        "Install their equivalents and run this again with AWS_HMAC_SKIP_SETUP=1.",
    );
  const wanted = missing(packages);
  if (wanted.length === 0) return;
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...wanted];
  if (process.getuid() !== 0)
    throw new Stop(
      `System packages are missing, and installing them takes root. Run\n  sudo apt-get update && sudo ${install.join(" ")}\nand then this again.`,
    );
  say(`installing system packages: ${wanted.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const options = { env, stdio: ["ignore", "inherit", "inherit"] };
  await run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", "update"], options);
  await run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", ...install.slice(1)], options);
}

await program(import.meta.url, async (args) => {
  const names = args.length > 0 ? args : Object.keys(groups);
  const unknown = names.filter((name) => !Object.hasOwn(groups, name));
  if (unknown.length > 0)
    throw new Stop(`no such group: ${unknown.join(" ")}. There are: ${Object.keys(groups).join(" ")}`);
  await requirePackages(names);
  say(`system packages are in place: ${names.join(", ")}`);
});
