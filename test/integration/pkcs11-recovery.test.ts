import { once } from "node:events";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { type HmacKey, importPkcs11Key, openPkcs11Key, type Pkcs11KeyOptions } from "../../lib/index.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { allRight, flood } from "../support/flood.js";
import { runTool } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

const label = "signer";
describeWith(
  ["softhsm", "opensc"],
  "a PKCS#11 key that loses what it holds, with 256 calls in flight",
  () => {
    let hsm: SoftHsm;
    let proxy: ProxyModule;
    let options: Pkcs11KeyOptions;
    let pin: string;

    beforeAll(async () => {
      hsm = await makeSoftHsm("faults");
      proxy = await makeProxyModule(hsm.module);
      pin = hsm.pin;
      options = { module: proxy.module, tokenLabel: "faults", label, pin };
      await importPkcs11Key(Buffer.from(secret), { ...options, pin, label });
    });
    afterEach(() => proxy.instruct());
    afterAll(() => {
      proxy.remove();
      hsm.remove();
    });

    async function withKey(
      more: Partial<Pkcs11KeyOptions>,
      use: (key: HmacKey) => Promise<void>,
    ): Promise<void> {
      const key = await openPkcs11Key({ ...options, ...more });
      try {
        await use(key);
      } finally {
        await key.close();
      }
    }

    /** The calls that the module gets meanwhile. */
    async function callsOf(action: () => Promise<void>): Promise<string[]> {
      const before = proxy.calls().length;
      await action();
      return proxy.calls().slice(before);
    }

    const count = (calls: string[], call: string): number => calls.filter((one) => one === call).length;

    describe.each<[string, Partial<Pkcs11KeyOptions>]>([
      ["one thread", {}],
      ["four threads", { threads: 4 }],
      ["four threads with session copies", { threads: 4, sessionCopy: true }],
    ])("%s", (_, how) => {
      test.each([
        ["its session closed", "fail C_Sign 0xb3 3"],
        ["its session handle unknown", "fail C_SignInit 0xb3 3"],
        ["its key handle unknown, as after a logout", "fail C_SignInit 0x82 3"],
        ["its key handle unknown, as NSS says it", "fail C_SignInit 0x60 3"],
        ["its login", "fail C_SignInit 0x101 3"],
        ["the device for a moment", "fail C_Sign 0x30 3"],
        ["the device's memory", "fail C_SignInit 0x31 3"],
        ["the host's memory", "fail C_Sign 0x2 3"],
        ["everything until the module starts anew", "broken 0x30"],
        ["the module, finalised by somebody", "broken 0x190"],
      ])("gets it again: %s (%s)", async (_what, rule) => {
        await withKey(how, async (key) => {
          expect(await flood(key)).toEqual(allRight);
          proxy.instruct(rule);
          expect(await flood(key)).toEqual(allRight);
          proxy.instruct();
          expect(await flood(key)).toEqual(allRight);
        });
      });

      test("a token that is removed: coded errors soon, and right answers when it is back", async () => {
        await withKey(how, async (key) => {
          const gone = ["C_OpenSession", "C_SignInit", "C_GetSessionInfo", "C_GetTokenInfo"];
          proxy.instruct(...gone.map((call) => `fail ${call} 0xe0`));
          const { right, codes } = await flood(key);
          expect(right).toBe(0);
          expect(["ERR_TOKEN_NOT_FOUND", "ERR_PKCS11_DEVICE"]).toEqual(expect.arrayContaining(codes));
          proxy.instruct();
          expect(await flood(key)).toEqual(allRight);
        });
      });
    });

    test("the module is started anew once, however many threads miss it", async () => {
      await withKey({ threads: 16 }, async (key) => {
        expect(await flood(key)).toEqual(allRight);
        const calls = await callsOf(async () => {
          proxy.instruct("broken 0x30");
          expect(await flood(key)).toEqual(allRight);
        });
        expect([count(calls, "C_Initialize"), count(calls, "C_Login pin")]).toEqual([1, 1]);
      });
    });

    test("a device that stays away is not asked for ever", async () => {
      await withKey({ threads: 4 }, async (key) => {
        const calls = await callsOf(async () => {
          proxy.instruct("fail C_SignInit 0x30", "fail C_GetSessionInfo 0x30", "fail C_OpenSession 0x30");
          expect(await flood(key)).toEqual({ right: 0, codes: ["ERR_PKCS11_DEVICE"] });
        });
        expect(count(calls, "C_Initialize")).toBeLessThan(4 * 10); // for each thread once at most
      });
    });

    test.each([2, 3, 8])("a token that gives %i sessions to 16 threads is used with those", async (limit) => {
      proxy.instruct(`limit ${limit}`);
      for (const sessionCopy of [false, true]) {
        await withKey({ threads: 16, sessionCopy }, async (key) => {
          expect(await flood(key)).toEqual(allRight);
          expect(await flood(key)).toEqual(allRight);
        });
      }
    });

    test("a token that gives one session, or none", async () => {
      proxy.instruct("limit 1");
      await withKey({ threads: 4 }, async (key) => expect(await flood(key)).toEqual(allRight));
      proxy.instruct("limit 0");
      await expect(openPkcs11Key(options)).rejects.toMatchObject({ code: "ERR_PKCS11_DEVICE", rv: 0xb1 });
    });

    test("a session that failed is closed", async () => {
      const calls = await callsOf(() =>
        withKey({ threads: 4 }, async (key) => {
          proxy.instruct("fail C_Sign 0x30 3");
          expect(await flood(key)).toEqual(allRight);
        }),
      );
      expect(count(calls, "C_CloseSession")).toBe(count(calls, "C_OpenSession"));
    });

    test("a PIN that was changed meanwhile is sent once, in vain, and then no more", async () => {
      const changed = `9${pin}`;
      const change = ["--module", hsm.module, "--token-label", "faults", "--login", "--change-pin"];
      await withKey({ threads: 4 }, async (key) => {
        expect(await flood(key)).toEqual(allRight);
        await runTool("pkcs11-tool", [...change, "--pin", pin, "--new-pin", changed], { env: hsm.env });
        const calls = await callsOf(async () => {
          proxy.instruct("tries 3", "broken 0x30");
          expect(await flood(key)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
          expect(await flood(key)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
        });
        expect(count(calls, "C_Login pin")).toBe(1);
        // Where the process is logged in by somebody else's PIN the key works again.
        pin = options.pin = changed;
        await withKey({}, async (other) => {
          expect(await flood(other)).toEqual(allRight);
          expect(await flood(key)).toEqual(allRight);
        });
      });
    });

    test("however many instances, threads and worker threads have one wrong PIN, it is sent once", async () => {
      const wrong = { ...options, pin: `8${pin}`, threads: 4 };
      const start = async (): Promise<Worker> => {
        const worker = new Worker(
          `const { parentPort, workerData } = require("node:worker_threads");
           const { openPkcs11Key } = require(workerData.library);
           parentPort.once("message", async () => {
             const codes = Array.from({ length: 3 }, () =>
               openPkcs11Key(workerData.options).then(() => "opened", (error) => error.code));
             parentPort.postMessage(await Promise.all(codes));
           });
           parentPort.postMessage("ready");`,
          { eval: true, workerData: { library: path.join(__dirname, "..", "..", "dist"), options: wrong } },
        );
        await once(worker, "message");
        return worker;
      };
      const workers = [await start(), await start(), await start()];
      const calls = await callsOf(async () => {
        proxy.instruct("tries 3");
        const there = workers.map(async (worker) => {
          worker.postMessage("go");
          const [codes] = (await once(worker, "message")) as [string[]];
          return codes;
        });
        const opened = Array.from({ length: 8 }, () =>
          openPkcs11Key(wrong).then(
            () => "opened",
            (error) => error.code,
          ),
        );
        const codes = [...(await Promise.all(opened)), ...(await Promise.all(there)).flat()];
        expect(codes).toEqual(Array(17).fill("ERR_PIN_INCORRECT"));
      });
      expect(count(calls, "C_Login pin")).toBe(1);
      await Promise.all(workers.map((worker) => worker.terminate()));
    });

    test("nobody is asked twice at a PIN pad that refuses", async () => {
      proxy.instruct("set 0x100", `pad ${pin}`);
      await withKey({ pin: undefined, pinPad: true, threads: 4 }, async (key) => {
        expect(await flood(key)).toEqual(allRight);
        const calls = await callsOf(async () => {
          proxy.instruct("set 0x100", "pad certainly-wrong", "broken 0x30");
          expect(await flood(key)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
        });
        expect(count(calls, "C_Login pad")).toBe(1);
      });
    });

    test("another process that logs in and out does not matter", async () => {
      await withKey({ threads: 4 }, async (key) => {
        const list = ["--module", hsm.module, "--token-label", "faults", "--login", "--pin", "env:PIN", "-O"];
        const others = async (): Promise<void> => {
          const env = { ...hsm.env, PIN: pin };
          for (let times = 0; times < 3; times++) await runTool("pkcs11-tool", list, { env });
        };
        let over = false;
        const all = others().finally(() => {
          over = true;
        });
        while (!over) expect(await flood(key)).toEqual(allRight);
        await all;
      });
    });

    test("a module that does not copy keys: an error that says so, and none is left open", async () => {
      proxy.instruct("fail C_CopyObject 0x54");
      const opening = openPkcs11Key({ ...options, sessionCopy: true });
      await expect(opening).rejects.toMatchObject({
        code: "ERR_SESSION_COPY",
        rvName: "CKR_FUNCTION_NOT_SUPPORTED",
        message: expect.stringContaining("leave out sessionCopy"),
      });
    });

    test.each([0, 65, 1.5, Number.NaN, "4"])("threads: %p is refused", async (threads) => {
      await expect(openPkcs11Key({ ...options, threads: threads as number })).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringContaining("threads"),
      });
    });

    test("a module that hangs: calls end in time, keys of another module go on", async () => {
      const key = await openPkcs11Key({ ...options, threads: 2, timeout: 300 });
      const other = await openPkcs11Key({ ...options, module: hsm.module });
      proxy.instruct("hang C_Sign");
      const hung = flood(key);
      expect(await flood(other)).toEqual(allRight);
      expect(await hung).toEqual({ right: 0, codes: ["ERR_TIMEOUT"] });
      proxy.instruct();
      expect(await flood(key)).toEqual(allRight);
      // One after the other: both modules are one SoftHSM, which crashes where it is finalised under another one's call.
      await key.close();
      await other.close();
    });
  },
);
