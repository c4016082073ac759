// Bare Debians and Ubuntus under build/rooms, for test:package: `bare` with nothing to do with TPMs or PKCS#11, `hsm` with SoftHSM.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { root, run, say } from "./run.mjs";

/** The Debians that the package is tested on. */
export const debians = ["bullseye", "bookworm", "trixie"];

/** The Ubuntus that Debian 12's debootstrap knows, for machines that reach Ubuntu's packages: CI's need not. */
export const ubuntus = ["jammy"];
const ubuntuMirror = {
  DEBIAN_MIRROR: "http://archive.ubuntu.com/ubuntu",
  DEBIAN_COMPONENTS: "main,universe",
};

/** Runs commands in such a root, and makes it. */
export const debianRoot = path.join(root, "scripts", "debian-root.sh");

const machines = { x64: "amd64", arm64: "arm64" };
const packages = ["softhsm2", "p11-kit-modules"];
// What `bare` has not, though it be in Debian's smallest system: apt brings p11-kit.
const unwanted =
  "softhsm2 softhsm2-common libsofthsm2 p11-kit p11-kit-modules libp11-kit0 apt libapt-pkg libgnutls30 libssl";
// What is mounted in a room: the project, Node, npm, an emulator and a token's socket.
const places = "mkdir -p app opt/node opt/npm run/token mnt && touch opt/qemu";

/** Removes the files of the unwanted packages, whose archives debootstrap leaves. */
const strip = `
for name in ${unwanted}; do
  for archive in var/cache/apt/archives/"$name"[0-9._]*.deb; do
    [ ! -e "$archive" ] || dpkg-deb --fsys-tarfile "$archive" | tar -t | grep -v '/$' | xargs rm -f
  done
done`;

/** Removes the rooms of another recipe. */
function removeOlder(name) {
  const folder = path.join(root, "build", "rooms");
  for (const older of readdirSync(folder).filter((other) => other.startsWith(name) && !other.includes("."))) {
    rmSync(path.join(folder, older), { recursive: true });
  }
}

/** The folders of a suite's two rooms, made at the first call. */
export async function makeRooms(suite, arch) {
  const recipe = [suite, arch, packages, strip, places, readFileSync(debianRoot, "utf8")];
  const hash = createHash("sha256").update(JSON.stringify(recipe)).digest("hex").slice(0, 12);
  const folder = path.join(root, "build", "rooms", `${suite}-${arch}-${hash}`);
  const rooms = { bare: path.join(folder, "bare"), hsm: path.join(folder, "hsm") };
  if (existsSync(folder)) return rooms;

  say(`making ${suite} for ${arch}: debootstrap`);
  const unfinished = `${folder}.${process.pid}`;
  const env = { ...(ubuntus.includes(suite) && ubuntuMirror), ...process.env };
  const quiet = { stdio: ["ignore", "ignore", "inherit"], env };
  try {
    mkdirSync(unfinished, { recursive: true });
    const [hsm, bare] = [path.join(unfinished, "hsm"), path.join(unfinished, "bare")];
    await run(debianRoot, ["make", hsm, suite, machines[arch], ...packages], quiet);
    await run(debianRoot, ["connect", hsm], quiet);
    await run("bash", ["-euc", places], { cwd: hsm });
    await run("cp", ["-a", hsm, bare]);
    await run("bash", ["-euc", strip], { cwd: bare });
    for (const made of [hsm, bare]) rmSync(path.join(made, "var/cache/apt"), { recursive: true });
    removeOlder(`${suite}-${arch}-`);
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return rooms;
}
