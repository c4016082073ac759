import path from "node:path";
import {
  importPkcs11Key,
  openPkcs11Key,
  type Pkcs11ImportOptions,
  type Pkcs11KeyOptions,
  removePkcs11Key,
} from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { allRight, flood } from "../support/flood.js";
import { runTool } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import type { TestToken } from "../support/token.js";
import { importable, place } from "./suite.js";

const disturbances = [
  ["somebody logs out before a call", "logout C_SignInit 2"],
  ["somebody logs out in the middle of one", "logout C_Sign 2"],
  ["somebody closes all sessions before a call", "close C_SignInit 2"],
  ["somebody closes all sessions in the middle of one", "close C_Sign 2"],
  ["the device is lost until the module starts anew", "broken 0x30"],
  ["somebody finalises the module", "broken 0x190"],
] as const;

/** What others in the process do. */
export type Disturbance = "logout" | "close";

/**
 * What others in the process do to every token, or the device suffers, while 256 calls are in flight.
 *
 * @param crashesAt what its module does not survive, as far as it was seen
 */
export function faults(token: () => TestToken, crashesAt: readonly Disturbance[] = []): void {
  const survived = disturbances.filter(([, rule]) => !crashesAt.some((what) => rule.startsWith(what)));
  let proxy: ProxyModule;
  let options: Pkcs11KeyOptions & Pkcs11ImportOptions & { pin: string };

  beforeAll(async () => {
    proxy = await makeProxyModule(token().module);
    options = { ...place(token()), ...importable(token()), module: proxy.module, label: "survivor" };
    await importPkcs11Key(Buffer.from(secret), options);
  });
  afterEach(() => proxy.instruct());
  afterAll(async () => {
    await removePkcs11Key(options);
    proxy.remove();
  });

  describe.each<[string, Partial<Pkcs11KeyOptions>]>([
    ["one thread", {}],
    ["four threads", { threads: 4 }],
    ["four threads with session copies", { threads: 4, sessionCopy: true }],
  ])("%s", (_, how) => {
    test.each(survived)("no answer is lost or wrong: %s (%s)", async (_what, rule) => {
      await using key = await openPkcs11Key({ ...options, ...how });
      expect(await flood(key)).toEqual(allRight);
      proxy.instruct(rule);
      expect(await flood(key)).toEqual(allRight);
      proxy.instruct();
      expect(await flood(key)).toEqual(allRight);
    });

    test("no answer is wrong while another process replaces the key", async () => {
      await using key = await openPkcs11Key({ ...options, ...how });
      const replace = `const { importPkcs11Key } = require(process.env.LIBRARY);
        importPkcs11Key(Buffer.from(process.env.SECRET), JSON.parse(process.env.OPTIONS));`;
      const LIBRARY = path.join(__dirname, "..", "..", "dist");
      const OPTIONS = JSON.stringify({ ...options, module: token().module, replace: true });
      const env = { ...token().env, LIBRARY, OPTIONS, SECRET: secret };
      let over = false;
      const replacing = runTool(process.execPath, ["-e", replace], { env }).finally(() => {
        over = true;
      });
      // Both keys may be there for a moment, or neither be seen yet.
      const coded = ["ERR_KEY_AMBIGUOUS", "ERR_KEY_NOT_FOUND"];
      while (!over) expect(coded).toEqual(expect.arrayContaining((await flood(key)).codes));
      await replacing;
      expect(await flood(key)).toEqual(allRight);
    });
  });
}
