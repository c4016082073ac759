import { createHmac, randomBytes } from "node:crypto";
import { importPkcs11Key, openPkcs11Key, type Pkcs11KeyOptions } from "../../lib/index.js";
import { runTool } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const label = "signer";
const inFlight = 256;

const hmac = (message: Uint8Array): Buffer => createHmac("sha256", `AWS4${secret}`).update(message).digest();

type Mac = (message: Uint8Array) => Promise<Uint8Array>;

/** What became of 256 calls at once: how many gave the right MAC, and the codes of the others' errors. */
async function flood(mac: Mac): Promise<{ right: number; codes: string[] }> {
  const messages = Array.from({ length: inFlight }, () => randomBytes(8));
  const outcomes = await Promise.allSettled(messages.map((message) => mac(message)));
  let right = 0;
  const codes = new Set<string>();
  outcomes.forEach((outcome, i) => {
    if (outcome.status === "rejected") codes.add(outcome.reason.code);
    else if (hmac(messages[i] as Buffer).equals(outcome.value)) right++;
    else codes.add("WRONG ANSWER");
  });
  return { right, codes: [...codes] };
}

const allRight = { right: inFlight, codes: [] };

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

    async function withKey(more: Partial<Pkcs11KeyOptions>, use: (mac: Mac) => Promise<void>): Promise<void> {
      const key = await openPkcs11Key({ ...options, ...more });
      try {
        await use((message) => key.mac(message));
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
        await withKey(how, async (mac) => {
          expect(await flood(mac)).toEqual(allRight);
          proxy.instruct(rule);
          expect(await flood(mac)).toEqual(allRight);
          proxy.instruct();
          expect(await flood(mac)).toEqual(allRight);
        });
      });

      test("a token that is removed: coded errors soon, and right answers when it is back", async () => {
        await withKey(how, async (mac) => {
          const gone = ["C_OpenSession", "C_SignInit", "C_GetSessionInfo", "C_GetTokenInfo"];
          proxy.instruct(...gone.map((call) => `fail ${call} 0xe0`));
          const { right, codes } = await flood(mac);
          expect(right).toBe(0);
          expect(["ERR_TOKEN_NOT_FOUND", "ERR_PKCS11_DEVICE"]).toEqual(expect.arrayContaining(codes));
          proxy.instruct();
          expect(await flood(mac)).toEqual(allRight);
        });
      });
    });

    test("the module is started anew once, however many threads miss it", async () => {
      await withKey({ threads: 16 }, async (mac) => {
        expect(await flood(mac)).toEqual(allRight);
        const calls = await callsOf(async () => {
          proxy.instruct("broken 0x30");
          expect(await flood(mac)).toEqual(allRight);
        });
        expect([count(calls, "C_Initialize"), count(calls, "C_Login pin")]).toEqual([1, 1]);
      });
    });

    test("a device that stays away is not asked for ever", async () => {
      await withKey({ threads: 4 }, async (mac) => {
        const calls = await callsOf(async () => {
          proxy.instruct("fail C_SignInit 0x30", "fail C_GetSessionInfo 0x30", "fail C_OpenSession 0x30");
          expect(await flood(mac)).toEqual({ right: 0, codes: ["ERR_PKCS11_DEVICE"] });
        });
        expect(count(calls, "C_Initialize")).toBeLessThan(4 * 10); // for each thread once at most
      });
    });

    test.each([2, 3, 8])("a token that gives %i sessions to 16 threads is used with those", async (limit) => {
      proxy.instruct(`limit ${limit}`);
      for (const sessionCopy of [false, true]) {
        await withKey({ threads: 16, sessionCopy }, async (mac) => {
          expect(await flood(mac)).toEqual(allRight);
          expect(await flood(mac)).toEqual(allRight);
        });
      }
    });

    test("a token that gives one session, or none", async () => {
      proxy.instruct("limit 1");
      await withKey({ threads: 4 }, async (mac) => expect(await flood(mac)).toEqual(allRight));
      proxy.instruct("limit 0");
      await expect(openPkcs11Key(options)).rejects.toMatchObject({ code: "ERR_PKCS11_DEVICE", rv: 0xb1 });
    });

    test("a session that failed is closed", async () => {
      const calls = await callsOf(() =>
        withKey({ threads: 4 }, async (mac) => {
          proxy.instruct("fail C_Sign 0x30 3");
          expect(await flood(mac)).toEqual(allRight);
        }),
      );
      expect(count(calls, "C_CloseSession")).toBe(count(calls, "C_OpenSession"));
    });

    test("a PIN that was changed meanwhile is sent once, in vain, and then no more", async () => {
      const changed = `9${pin}`;
      const change = ["--module", hsm.module, "--token-label", "faults", "--login", "--change-pin"];
      await withKey({ threads: 4 }, async (mac) => {
        expect(await flood(mac)).toEqual(allRight);
        await runTool("pkcs11-tool", [...change, "--pin", pin, "--new-pin", changed], { env: hsm.env });
        const calls = await callsOf(async () => {
          proxy.instruct("tries 3", "broken 0x30");
          expect(await flood(mac)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
          expect(await flood(mac)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
        });
        expect(count(calls, "C_Login pin")).toBe(1);
        // Where the process is logged in by somebody else's PIN the key works again.
        pin = options.pin = changed;
        await withKey({}, async (other) => {
          expect(await flood(other)).toEqual(allRight);
          expect(await flood(mac)).toEqual(allRight);
        });
      });
    });

    test("nobody is asked twice at a PIN pad that refuses", async () => {
      proxy.instruct("set 0x100", `pad ${pin}`);
      await withKey({ pin: undefined, pinPad: true, threads: 4 }, async (mac) => {
        expect(await flood(mac)).toEqual(allRight);
        const calls = await callsOf(async () => {
          proxy.instruct("set 0x100", "pad certainly-wrong", "broken 0x30");
          expect(await flood(mac)).toEqual({ right: 0, codes: ["ERR_PIN_INCORRECT"] });
        });
        expect(count(calls, "C_Login pad")).toBe(1);
      });
    });

    test("another process that logs in and out does not matter", async () => {
      await withKey({ threads: 4 }, async (mac) => {
        const list = ["--module", hsm.module, "--token-label", "faults", "--login", "--pin", "env:PIN", "-O"];
        const others = async (): Promise<void> => {
          const env = { ...hsm.env, PIN: pin };
          for (let times = 0; times < 3; times++) await runTool("pkcs11-tool", list, { env });
        };
        let over = false;
        const all = others().finally(() => {
          over = true;
        });
        while (!over) expect(await flood(mac)).toEqual(allRight);
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
      const hung = flood((message) => key.mac(message));
      expect(await flood((message) => other.mac(message))).toEqual(allRight);
      expect(await hung).toEqual({ right: 0, codes: ["ERR_TIMEOUT"] });
      proxy.instruct();
      expect(await flood((message) => key.mac(message))).toEqual(allRight);
      await Promise.all([key.close(), other.close()]);
    });
  },
);
