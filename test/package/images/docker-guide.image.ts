// Who follows docs/docker.md gets right signatures: as written, but for ports and folders of the host. There is no engine:
// `docker` is scripts/images/docker.mjs.
import { execFile } from "node:child_process";
import { chmodSync, chownSync, cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import { importPkcs11Key, importVaultKey } from "../../../lib/index.js";
import { startBao } from "../../support/bao.js";
import { blocks, expectRightUrl } from "../../support/guide.js";
import { freePorts } from "../../support/ports.js";
import { temporaryFolder } from "../../support/process.js";
import { makeSoftHsm } from "../../support/softhsm.js";
import { type Swtpm, startSwtpm } from "../../support/swtpm.js";

const checkout = path.join(__dirname, "..", "..", "..");
const page = "docs/docker.md";
const { folder, remove } = temporaryFolder("images");
const context = path.join(folder, "docker");
const secretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"; // the page's
/** The user of the distroless image. */
const nonroot = 65532;
let port: number;

beforeAll(async () => {
  port = await freePorts(2);
  cpSync(path.join(checkout, "examples", "docker"), context, { recursive: true });
  for (const name of readdirSync(context)) {
    const file = path.join(context, name);
    if (!name.endsWith(".tgz")) writeFileSync(file, ported(readFileSync(file, "utf8")));
  }
  const docker = path.join(checkout, "scripts", "images", "docker.mjs");
  writeFileSync(path.join(folder, "docker.sh"), `docker() { "${process.execPath}" "${docker}" "$@"; }\n`);
});
afterAll(remove);

const ported = (text: string): string =>
  text
    .replaceAll("port=2321", `port=${port}`)
    .replaceAll("port%3D2321", `port%3D${port}`)
    .replaceAll("2322", `${port + 1}`);

/** Types commands in the checkout, and gives what they print. */
async function type(commands: string, env: NodeJS.ProcessEnv = {}, timeout = 50_000): Promise<string> {
  const own = ported(commands).replaceAll("examples/docker", context);
  const script = `. "${folder}/docker.sh"\n${own}`;
  const options = { cwd: checkout, env: { ...process.env, ...env }, timeout, maxBuffer: 1 << 26 };
  return (await promisify(execFile)("bash", ["-euo", "pipefail", "-c", script], options)).stdout;
}

const section = (heading: string): string[] => blocks(page, heading, "sh");
/** What a section needs of the walk before it: how the signer is run, and for whom it signs. */
const settings = (): string =>
  (section("## Try it on a software TPM")[0] ?? "")
    .split("\n")
    .filter((line) => /^(safe=|export AWS)/.test(line))
    .join("\n");
const both = (commands: string): string[] => [
  commands,
  commands.replaceAll("signer:distroless", "signer:slim"),
];

/** A file of the host that the container's user alone may read. */
function closedFile(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  chownSync(file, nonroot, nonroot);
  chmodSync(file, 0o400);
  return file;
}

test("both images and the TPM's are built", async () => {
  await type(section("## Build").join("\n"), {}, 590_000);
}, 600_000);

test("with a software TPM", async () => {
  const [reference = "", ...urls] = (await type(section("## Try it on a software TPM").join("\n")))
    .trim()
    .split("\n");
  expect(reference).toMatch(/^tpm:0x81008001\?tcti=swtpm/);
  expect(urls).toHaveLength(2);
  for (const url of urls) expectRightUrl(url);
});

test("with a token of the host", async () => {
  // That user must get to the socket and the token's files, through a run's own temporary folder too.
  const parent = path.dirname(folder);
  for (const one of path.basename(parent).startsWith("aws-hmac-run-") ? [parent, folder] : [folder])
    chmodSync(one, 0o711);
  const { module, tokenLabel, pin, conf, remove: removeToken } = await makeSoftHsm("aws");
  try {
    await importPkcs11Key(Buffer.from(secretAccessKey), { module, tokenLabel, pin, label: "signer" });
    const [server = "", run = ""] = section("## A token of the host");
    const socket = path.join(folder, "p11-kit-aws");
    const own = server
      .replaceAll("/run/p11-kit-aws", socket)
      .replace(
        /&\n$/,
        `> "${folder}/server.log" & trap 'kill $!' EXIT\nuntil [ -S "${socket}/p11" ]; do sleep 0.1; done\n`,
      );
    const pinFile = closedFile("pin", pin);
    const runs = both(run).map((text) =>
      text.replace("/run/p11-kit-aws:", `${socket}:`).replace("/etc/signer/pin", pinFile),
    );
    await promisify(execFile)("chown", ["-R", `${nonroot}:${nonroot}`, path.dirname(conf)]);
    const output = await type([settings(), own, ...runs].join("\n"));
    const urls = output.trim().split("\n");
    expect(urls).toHaveLength(2);
    for (const url of urls) expectRightUrl(url);
  } finally {
    removeToken();
  }
});

test("with Vault", async () => {
  const bao = await startBao();
  try {
    const { address, token } = bao;
    await importVaultKey(Buffer.from(secretAccessKey), { address, token, name: "signer" });
    const file = closedFile("token", token);
    const [run = ""] = section("## Vault");
    const own = run.replace("/etc/signer/token", file).replace("http://127.0.0.1:8200", address);
    const slim = own.replace("signer:distroless", "--user 65532:65532 signer:slim");
    const urls = (await type([settings(), own, slim].join("\n"))).trim().split("\n");
    expect(urls).toHaveLength(2);
    for (const url of urls) expectRightUrl(url);
  } finally {
    await bao.stop();
  }
});

interface Service {
  build: { dockerfile: string };
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  read_only: boolean;
  cap_drop: string[];
  security_opt: string[];
}

test("the services of compose.yaml, one by one", async () => {
  const file = readFileSync(path.join(context, "compose.yaml"), "utf8");
  const { services } = parse(file, { merge: true }) as {
    services: Record<"tpm" | "import" | "presign", Service>;
  };
  const tpm: Swtpm = await startSwtpm();
  // Without a network of their own, the TPM is not at `tpm` but on this machine.
  const place = tpm.tcti.replace("swtpm:", "");
  const here = (text: string): string =>
    text.replace(encodeURIComponent(`host=tpm,port=${port}`), encodeURIComponent(place));
  const run = ({ image, command = [], environment = {}, ...how }: Service): string => {
    expect(how).toMatchObject({ read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges"] });
    const env = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${here(value)}`]);
    const words = [
      "run",
      "--rm",
      "--interactive",
      "--read-only",
      "--network",
      "host",
      ...env,
      image,
      ...command.map(here),
    ];
    return `docker ${words.map((word) => `'${word}'`).join(" ")}`;
  };
  try {
    const output = await type(
      `printf %s '${secretAccessKey}' | ${run(services.import)}\n${run(services.presign)}`,
    );
    expectRightUrl(output);
    expect(services.tpm).toMatchObject({
      build: { dockerfile: "swtpm.Dockerfile" },
      tmpfs: ["/tpm"],
      read_only: true,
    });
  } finally {
    await tpm.stop();
  }
});

test("in the distroless image there is no shell, and neither writes anywhere", async () => {
  const program = `
    const { execFileSync } = require("node:child_process");
    const codeOf = (work) => { try { work(); return "done"; } catch (error) { return error.code; } };
    const places = ["/tmp/x", "/app/x", process.env.HOME + "/x"];
    console.log(JSON.stringify({
      uid: process.getuid(),
      shell: codeOf(() => execFileSync("/bin/sh", ["-c", ":"])),
      writes: [...new Set(places.map((place) => codeOf(() => require("node:fs").writeFileSync(place, ""))))],
    }));`;
  const run = (image: string): Promise<string> =>
    type(`docker run --rm --read-only --network host ${image} -e "$PROGRAM"`, { PROGRAM: program });
  expect(JSON.parse(await run("signer:distroless"))).toEqual({
    uid: nonroot,
    shell: "ENOENT",
    writes: ["EROFS"],
  });
  expect(JSON.parse(await run("signer:slim"))).toEqual({ uid: 1000, shell: "done", writes: ["EROFS"] });
});
