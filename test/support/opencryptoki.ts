import { execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { modulePath } from "./module-path.js";
import { temporaryFolder, until } from "./process.js";
import { initToken, type TestToken } from "./token.js";

const configuration = "/etc/opencryptoki/opencryptoki.conf";
/** What every new token begins with. */
const soPin = "87654321";
const slot = `version opencryptoki-3.1\nslot 0\n{\nstdll = libpkcs11_sw.so\n}\n`;

/**
 * Starts openCryptoki with a soft token. Its places are fixed, so that this works only in namespaces of its own:
 * describeInNamespace.
 */
export async function makeOpenCryptoki(): Promise<TestToken> {
  const { folder, remove } = temporaryFolder("opencryptoki");
  const mount = (...args: string[]): Buffer => execFileSync("mount", args);
  const conf = path.join(folder, "opencryptoki.conf");
  writeFileSync(conf, slot);
  mount("--bind", conf, configuration);
  for (const place of ["/run", "/dev/shm", "/var/lib/opencryptoki"]) mount("-t", "tmpfs", "none", place);
  mkdirSync("/run/lock"); // /var/lock
  makeFolders();
  mkdirSync("/var/lib/opencryptoki/swtok/TOK_OBJ", { recursive: true });
  execFileSync("chown", ["-R", "root:pkcs11", "/var/lib/opencryptoki/swtok"]);

  // It goes into the background (3.23 does so in spite of -f), and ends with the namespace.
  execFileSync("pkcsslotd", { stdio: "ignore" });
  await until("pkcsslotd", () =>
    readdirSync("/run", { recursive: true, encoding: "utf8" }).some((file) =>
      file.endsWith("pkcsslotd.socket"),
    ),
  );
  const pin = String(randomInt(10_000_000, 100_000_000));
  const token = {
    module: modulePath("libopencryptoki.so"),
    tokenLabel: "aws-hmac test",
    env: process.env,
  };
  await initToken(token, { label: token.tokenLabel, pin, soPin });
  return {
    ...token,
    pin,
    stop: async () => remove(),
  };
}

/** The folders that the package wants where /run is empty after a start: `d PATH MODE USER GROUP -`. */
function makeFolders(): void {
  for (const line of readFileSync("/usr/lib/tmpfiles.d/opencryptoki.conf", "utf8").split("\n")) {
    const [kind, folder, mode, user, group] = line.split(/\s+/);
    if (kind !== "d" && kind !== "D") continue;
    execFileSync("install", ["-d", `-m${mode}`, `-o${user}`, `-g${group}`, String(folder)]);
  }
}
