import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { importPkcs11Key, openPkcs11Key, type Pkcs11KeyOptions } from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { allRight, flood } from "../support/flood.js";
import { type Remote, serveToken } from "../support/p11-kit-server.js";
import { describeWith } from "../support/requirements.js";
import { softHsmToken } from "../support/softhsm.js";

const label = "signer";

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

  test.each([{ threads: 1 }, { threads: 4 }, { threads: 4, sessionCopy: true }])(
    "gets over the server's restart, with 256 calls in flight and %p",
    async (how) => {
      const key = await openPkcs11Key({ ...options, ...how });
      try {
        expect(await flood(key)).toEqual(allRight);
        const during = flood(key);
        await remote.kill();
        await remote.start();
        const coded = ["ERR_PKCS11_DEVICE", "ERR_TOKEN_NOT_FOUND", "ERR_MODULE_FAILED"];
        expect(coded).toEqual(expect.arrayContaining((await during).codes));
        expect(await flood(key)).toEqual(allRight);
      } finally {
        await key.close();
      }
    },
  );

  test.each([false, true])(
    "a child process does not inherit the socket, nor the login with it (sessionCopy: %p)",
    async (sessionCopy) => {
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
      const key = await openPkcs11Key({ ...options, threads: 4, sessionCopy });
      try {
        expect(await flood(key)).toEqual(allRight);
        const opened = sockets().filter((socket) => !earlier.has(socket));
        expect(opened).not.toEqual([]); // the connection to the server
        expect(inheritable()).toEqual(before);
        const inChild = execFileSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
        for (const socket of opened) expect(inChild).not.toContain(socket);
        // Nor after a recovery.
        await remote.kill();
        await remote.start();
        expect(await flood(key)).toEqual(allRight);
        expect(inheritable()).toEqual(before);
      } finally {
        await key.close();
      }
    },
  );
});
