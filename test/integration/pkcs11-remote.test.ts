import { execFileSync } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type HmacKey, importPkcs11Key, openPkcs11Key, type Pkcs11KeyOptions } from "../../lib/index.js";
import { type Remote, serveToken } from "../support/p11-kit-server.js";
import { describeWith } from "../support/requirements.js";
import { softHsmToken } from "../support/softhsm.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const label = "signer";

/** What became of 256 calls at once: the codes of errors, none for right MACs. */
async function flood(key: HmacKey): Promise<Set<string>> {
  const codes = new Set<string>();
  const calls = Array.from({ length: 256 }, async () => {
    const message = randomBytes(8);
    const mac = await key.mac(message);
    const right = createHmac("sha256", `AWS4${secret}`).update(message).digest();
    if (!right.equals(mac)) codes.add("WRONG ANSWER");
  });
  for (const outcome of await Promise.allSettled(calls)) {
    if (outcome.status === "rejected") codes.add(outcome.reason.code ?? String(outcome.reason));
  }
  return codes;
}

/** The sockets of this process that are not closed on exec. */
function inheritable(): string[] {
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))?.[1];
      const target = readlinkSync(`/proc/self/fd/${descriptor}`);
      return target.startsWith("socket:") && (Number.parseInt(String(flags), 8) & 0o2000000) === 0
        ? [target]
        : [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

describeWith(["softhsm", "p11-kit"], "a PKCS#11 key behind p11-kit server", () => {
  let remote: Remote;
  let options: Pkcs11KeyOptions;

  beforeAll(async () => {
    remote = await serveToken(await softHsmToken());
    const { module, tokenLabel, pin } = remote;
    options = { module, tokenLabel, pin, label };
    await importPkcs11Key(Buffer.from(secret), { module, tokenLabel, pin, label });
  });
  afterAll(() => remote?.stop());

  test.each([1, 4])(
    "gets over the server's restart, with 256 calls in flight and %i threads",
    async (threads) => {
      const key = await openPkcs11Key({ ...options, threads });
      try {
        expect(await flood(key)).toEqual(new Set());
        const during = flood(key);
        await remote.kill();
        await remote.start();
        const coded = ["ERR_PKCS11_DEVICE", "ERR_TOKEN_NOT_FOUND", "ERR_MODULE_FAILED"];
        expect(coded).toEqual(expect.arrayContaining([...(await during)]));
        expect(await flood(key)).toEqual(new Set());
      } finally {
        await key.close();
      }
    },
  );

  test("a child process does not inherit the socket, nor the login with it", async () => {
    const before = inheritable();
    const sockets = (): string[] =>
      readdirSync("/proc/self/fd").flatMap((descriptor) => {
        try {
          return [readlinkSync(`/proc/self/fd/${descriptor}`)].filter((target) =>
            target.startsWith("socket:"),
          );
        } catch {
          return [];
        }
      });
    const earlier = new Set(sockets());
    const key = await openPkcs11Key({ ...options, threads: 4 });
    try {
      expect(await flood(key)).toEqual(new Set());
      const opened = sockets().filter((socket) => !earlier.has(socket));
      expect(opened).not.toEqual([]); // the connection to the server
      expect(inheritable()).toEqual(before);
      const inChild = execFileSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
      for (const socket of opened) expect(inChild).not.toContain(socket);
      // Nor after a recovery.
      await remote.kill();
      await remote.start();
      expect(await flood(key)).toEqual(new Set());
      expect(inheritable()).toEqual(before);
    } finally {
      await key.close();
    }
  });
});
