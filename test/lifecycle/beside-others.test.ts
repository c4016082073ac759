import type { HmacKey } from "../../lib/core/hmac-key.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { listTpmKeys, removeTpmKey } from "../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { toolsKey } from "../support/tpm-tools-key.js";
import { runChild } from "./run-child.js";

// Without a resource manager, as here, everybody sees, and could flush, what everybody has in the TPM.
describeWith(
  ["swtpm", "tpm2-tools"],
  "what other programs have in the TPM stays, and nothing of ours",
  () => {
    const suite = tpmSuite();
    const others = toolsKey(suite);
    const auth = { password };
    let theirMac = "";
    const places: Record<string, TpmKeyOptions> = { handle: { handle } };

    const held = (): string[] =>
      ["handles-transient", "handles-loaded-session", "handles-saved-session"].map((kind) =>
        suite.tool("tpm2_getcap", kind),
      );
    const nameOfTheirs = (): string => suite.tool("tpm2_readpublic", "-c", "0x80000000");

    beforeAll(async () => {
      const options = { tcti: suite.tcti, auth };
      await importTpmKey(Buffer.from(secret), { ...options, handle });
      const { pem } = await importTpmKey(Buffer.from(secret), { ...options, output: "pem" });
      places.pem = { pem };
      others.createPrimary("-C", "o", "-G", "ecc");
      theirMac = others.create("parent.ctx");
      places.contextFile = { contextFile: suite.file("k.ctx") };
    });

    /** tpm2-tools leave an object, a loaded session and a saved one; all must be there, and good, afterwards. */
    async function besideOthers(use: () => Promise<void>): Promise<void> {
      suite.tool("tpm2_encodeobject", "-C", "parent.ctx", ...others.areas, "-o", "other.pem");
      suite.tool("tpm2_startauthsession", "--policy-session", "-S", "other.session");
      const [before, name] = [held(), nameOfTheirs()];
      expect(before).toEqual([
        "- 0x80000000\n",
        expect.stringMatching(/^- 0x\d+\n$/),
        expect.stringMatching(/^- 0x\d+\n$/),
      ]);
      try {
        await use();
        expect(held()).toEqual(before);
        expect(nameOfTheirs()).toBe(name);
        suite.tool("tpm2_policypassword", "-S", "other.session");
      } finally {
        for (const kind of ["-t", "-l", "-s"]) suite.tool("tpm2_flushcontext", kind);
      }
    }

    async function use(options: TpmKeyOptions, how: (key: HmacKey) => Promise<void>): Promise<void> {
      const key = await suite.open({ auth, ...options });
      await how(key);
      await key.close();
    }

    test.each(["handle", "pem"])("after use of a %s, also by sequences", (place) =>
      besideOthers(async () => {
        for (const encryption of ["session", "none"] as const) {
          await use({ ...places[place], encryption }, async (key) => {
            const long = Buffer.alloc(3000, 1);
            expect([await macOf(key, day), await macOf(key, long)]).toEqual([expected(day), expected(long)]);
          });
        }
      }),
    );

    test("after use of a context file", () =>
      besideOthers(() =>
        use({ ...places.contextFile, auth: undefined }, async (key) => {
          expect(await macOf(key, day)).toBe(theirMac);
        }),
      ));

    const failures: [string, string, TpmKeyOptions][] = [
      ["a handle with nothing there", "ERR_KEY_NOT_FOUND", { handle: 0x81008099 }],
      ["another parent", "ERR_TPM_PARENT", { parent: "endorsement" }],
      ["the endorsement key as parent", "ERR_TPM_PARENT", { parent: "ek-ecc" }],
      ["a wrong hierarchy password", "ERR_TPM_AUTH", { parentAuth: { hierarchyPassword: "another" } }],
      [
        "another salt key",
        "ERR_TPM_SALT_KEY",
        { saltKey: { handle: "owner", name: `000b${"00".repeat(32)}` } },
      ],
    ];
    test.each(failures)("after an opening that fails: %s, %s", (_, code, options) =>
      besideOthers(async () => {
        const place = options.handle === undefined ? places.pem : {};
        await expect(suite.open({ ...place, auth, ...options })).rejects.toMatchObject({ code });
      }),
    );

    test.each(["handle", "pem"])("after MACs of a %s that fail or are aborted", (place) =>
      besideOthers(async () => {
        await use({ ...places[place], auth: { password: "another" } }, async (key) => {
          await expect(key.mac(Buffer.alloc(3000))).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
        });
        await use({ ...places[place] }, async (key) => {
          const abort = new AbortController();
          const { signal } = abort;
          const macs = Array.from({ length: 32 }, () => key.mac(Buffer.alloc(3000), { signal }));
          const settled = Promise.allSettled(macs);
          await macs[0];
          abort.abort();
          const outcomes = (await settled).map(({ status }) => status);
          expect(outcomes).toContain("rejected");
        });
      }),
    );

    test("after imports, listings and removals, and those that fail", () =>
      besideOthers(async () => {
        const options = { tcti: suite.tcti, auth };
        const bytes = Buffer.from(secret);
        await importTpmKey(bytes, { ...options, output: "pem" });
        const made = await importTpmKey(bytes, { ...options, handle: "free" });
        await expect(importTpmKey(bytes, { ...options, handle: made.handle })).rejects.toMatchObject({
          code: "ERR_TPM_HANDLE_IN_USE",
        });
        expect((await listTpmKeys(options)).map((key) => key.handle)).toEqual([made.handle, handle]);
        const ownerAuth = { password: "another" };
        await expect(removeTpmKey({ ...options, ...made, ownerAuth })).rejects.toMatchObject({
          code: "ERR_TPM_AUTH",
        });
        await removeTpmKey({ ...options, ...made });
      }));

    const ends: [string, number][] = [
      ["end with a key left open", 0],
      ["exit with work in flight", 7],
      ["exit in a promise callback while another key opens", 7],
      ["uncaught exception with work in flight", 1],
      ["unhandled rejection with work in flight", 1],
    ];
    test.each(ends)(
      "after a process's end: %s",
      async (scenario, code) => {
        for (const place of ["handle", "pem"]) {
          await besideOthers(async () => {
            const tpm = { tcti: suite.tcti, auth, ...places[place] };
            expect(await runChild(scenario, { tpm })).toMatchObject({ code, signal: null });
          });
        }
      },
      60_000,
    );
  },
);
