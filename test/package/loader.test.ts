import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { checkout, installPacked, pack } from "../support/packed.js";
import { temporaryFolder } from "../support/process.js";

const { folder, remove } = temporaryFolder("loader");
const ownBuild = path.join(checkout, "build", "Release", "aws_hmac.node");
let installed: string;

beforeAll(async () => {
  installed = await installPacked((await pack(folder)).tarball, folder);
}, 120_000);
afterAll(remove);

beforeEach(() => {
  for (const name of ["prebuilds", "build"])
    rmSync(path.join(installed, name), { recursive: true, force: true });
});

/** Puts a file where a prebuilt addon for this machine is; without `from` it is none that can be loaded. */
function addPrebuild(from?: string): string {
  const place = path.join(installed, "prebuilds", `${process.platform}-${process.arch}`);
  const file = path.join(place, "aws-hmac.glibc.node");
  mkdirSync(place, { recursive: true });
  if (from) cpSync(from, file);
  else writeFileSync(file, "no addon");
  return file;
}

/** What the installed package answers to opening a TPM's key, where no TPM is. */
function open(
  environment: Record<string, string> = {},
  before = "",
): { code: string; message: string; cause?: string } {
  const program = `
    ${before}
    const { openTpmKey } = require("aws-hmac");
    openTpmKey({ tcti: "device:/nowhere/tpm", handle: 0x81008001 }).catch(({ code, message, cause }) =>
      console.log(JSON.stringify({ code, message, cause: cause?.message })));`;
  const env = { ...process.env, ...environment };
  return JSON.parse(execFileSync(process.execPath, ["-e", program], { cwd: folder, env, encoding: "utf8" }));
}

const loaded = expect.objectContaining({ code: "ERR_TPM_DEVICE_NOT_FOUND" });
const remedy =
  "build one with `npx aws-hmac-build` (" +
  "on Debian, Ubuntu it takes g++ make cmake pkg-config libtss2-dev libp11-kit-dev libssl-dev; " +
  "on Alpine it takes g++ make cmake pkgconf tpm2-tss-dev p11-kit-dev openssl-dev)";

test("names the command and the packages where there is no addon", () => {
  expect(open()).toEqual({
    code: "ERR_ADDON_NOT_BUILT",
    message: `there is no native addon for ${process.platform}-${process.arch}: ${remedy}`,
    cause: expect.stringContaining("No native build was found"),
  });
});

test("says why a prebuilt addon cannot be loaded", () => {
  const file = addPrebuild();
  const reason = `${file}: file too short`;
  expect(open()).toEqual({
    code: "ERR_ADDON_NOT_BUILT",
    message: `${file} cannot be loaded (${reason}): ${remedy}`,
    cause: reason,
  });
});

test("takes the prebuilt addon, and one that was built here before it", () => {
  addPrebuild(ownBuild);
  expect(open()).toEqual(loaded);
  addPrebuild();
  cpSync(ownBuild, path.join(installed, "build", "Release", "aws_hmac.node"));
  expect(open()).toEqual(loaded);
  expect(open({ PREBUILDS_ONLY: "1" })).toMatchObject({ code: "ERR_ADDON_NOT_BUILT" });
});

test("refuses devices on another platform, and does the rest there", () => {
  addPrebuild(ownBuild);
  const elsewhere = `Object.defineProperty(process, "platform", { value: "darwin" });`;
  expect(open({}, elsewhere)).toEqual({
    code: "ERR_UNSUPPORTED_PLATFORM",
    message: "TPM and PKCS#11 keys need Linux, not darwin",
  });
  const program = `${elsewhere}
    const { insecureMemoryKey } = require("aws-hmac");
    insecureMemoryKey("secret").mac(Buffer.from("20261130")).then(({ length }) => console.log(length));`;
  expect(execFileSync(process.execPath, ["-e", program], { cwd: folder, encoding: "utf8" })).toBe("32\n");
});

describe("aws-hmac-build", () => {
  const command = (): string => path.join(folder, "node_modules", ".bin", "aws-hmac-build");

  test("names what is missing before it starts", () => {
    const env = { ...process.env, PATH: path.join(folder, "nothing") };
    const { status, stderr } = spawnSync(process.execPath, [command()], {
      env,
      cwd: folder,
      encoding: "utf8",
    });
    expect(stderr).toMatch(/^aws-hmac-build: missing here: g\+\+, make, cmake, pkg-config\. Install\n {2}/);
    expect(stderr).toMatch(/g\+\+ make cmake pkg-?conf.*\n/);
    expect(status).toBe(1);
  });

  test("names a library that is missing", () => {
    const env = { ...process.env, PKG_CONFIG_LIBDIR: path.join(folder, "nothing") };
    const { status, stderr } = spawnSync(command(), { env, cwd: folder, encoding: "utf8" });
    expect(stderr).toContain(
      "missing here: tss2-esys, tss2-tctildr, tss2-mu, tss2-rc, p11-kit-1, libcrypto >= 3.0. Install",
    );
    expect(status).toBe(1);
  });

  test("builds an addon, which is then taken", () => {
    addPrebuild();
    const { status, stdout } = spawnSync("npx", ["--no", "aws-hmac-build"], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    expect(stdout).toMatch(/aws-hmac-build: the addon is in .*\/aws-hmac\/build\/Release\n$/);
    expect(status).toBe(0);
    expect(open()).toEqual(loaded);
  }, 900_000);
});
