import { once } from "node:events";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { importPkcs11Key, openPkcs11Key, type Pkcs11KeyOptions } from "../../lib/index.js";
import { runTool } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

const secret = Buffer.from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
const label = "signer";

/** Flags of CK_TOKEN_INFO (PKCS#11 3.0, 3.2), as the proxy is told. */
const loginRequired = "0x4";
const padPresent = "0x100";
const countLow = "0x10000";
const finalTry = "0x20000";
const locked = "0x40000";

describeWith(["softhsm", "opensc"], "logging in to a PKCS#11 token", () => {
  let hsm: SoftHsm;
  let proxy: ProxyModule;
  let key: { module: string; tokenLabel: string; label: string };
  let pin: string;
  let wrongPins = 0;

  beforeAll(async () => {
    hsm = await makeSoftHsm("login");
    pin = hsm.pin;
    proxy = await makeProxyModule(hsm.module);
    key = { module: proxy.module, tokenLabel: "login", label };
    await importPkcs11Key(secret, { ...key, pin });
  });
  afterEach(() => proxy.instruct());
  afterAll(() => {
    proxy.remove();
    hsm.remove();
  });

  /** A PIN that the token has not seen. */
  const wrongPin = (): string => `wrong ${++wrongPins}`;

  /** Opens, signs and closes; gives the logins that it took, or the error. */
  async function tryTo(options: Partial<Pkcs11KeyOptions>): Promise<{ logins: string[]; error?: unknown }> {
    const before = proxy.calls().length;
    let failed: { error?: unknown } = {};
    try {
      const opened = await openPkcs11Key({ ...key, ...options });
      await opened.mac(Buffer.from("20261124")).finally(() => opened.close());
    } catch (error) {
      failed = { error };
    }
    const calls = proxy.calls().slice(before);
    return { logins: calls.filter((call) => call.startsWith("C_Login")), ...failed };
  }

  test("a PIN pad is asked where it is told to be, and no PIN is sent", async () => {
    proxy.instruct(`set ${padPresent}`, `pad ${pin}`);
    expect(await tryTo({ pinPad: true })).toEqual({ logins: ["C_Login pad"] });
    const { extractable } = await importPkcs11Key(secret, { ...key, label: "by pad", pinPad: true });
    expect(extractable).toBe(false);
  });

  test("a wrong PIN at the pad, or none, is an error, and may be entered again", async () => {
    proxy.instruct(`set ${padPresent}`, "pad certainly-wrong");
    const wrong = { logins: ["C_Login pad"], error: { code: "ERR_PIN_INCORRECT" } };
    expect(await tryTo({ pinPad: true })).toMatchObject(wrong);
    expect(await tryTo({ pinPad: true })).toMatchObject(wrong);
    proxy.instruct(`set ${padPresent}`);
    expect(await tryTo({ pinPad: true })).toMatchObject({ error: { rvName: "CKR_FUNCTION_CANCELED" } });
  });

  test("a token without a PIN pad is not asked for one", async () => {
    expect(await tryTo({ pinPad: true })).toMatchObject({ logins: [], error: { code: "ERR_PIN_REQUIRED" } });
  });

  test.each<Partial<Pkcs11KeyOptions>>([
    { pin: "1234" },
    { pinEnv: "HOME" },
    { uri: "pkcs11:token=login?pin-value=1" },
    { uri: "pkcs11:token=login?pin-source=file:/none" },
  ])("pinPad stands alone: not beside %j", async (other) => {
    expect(await tryTo({ pinPad: true, ...other })).toMatchObject({
      error: { code: "ERR_INVALID_ARGUMENT" },
    });
  });

  test("a PIN whose failure would lock the token is not sent, unless that is allowed", async () => {
    proxy.instruct(`set ${finalTry}`);
    expect(await tryTo({ pin })).toMatchObject({ logins: [], error: { code: "ERR_PIN_FINAL_TRY" } });
    expect(await tryTo({ pin, allowFinalTry: true })).toEqual({ logins: ["C_Login pin"] });
    const importing = importPkcs11Key(secret, { ...key, label: "never", pin });
    await expect(importing).rejects.toMatchObject({ code: "ERR_PIN_FINAL_TRY" });
  });

  test("on the final try a key is used where the process is logged in already", async () => {
    const keeper = await openPkcs11Key({ ...key, pin });
    proxy.instruct(`set ${finalTry}`);
    expect(await tryTo({ pin })).toEqual({ logins: [] });
    await keeper.close();
  });

  test("a locked token is sent nothing", async () => {
    proxy.instruct(`set ${locked}`);
    expect(await tryTo({ pin, allowFinalTry: true })).toMatchObject({
      logins: [],
      error: { code: "ERR_PIN_LOCKED" },
    });
  });

  test("a refused PIN's error tells how near the lock is", async () => {
    for (const [flags, told] of [
      [countLow, /counts wrong PINs/],
      [finalTry, /next wrong PIN locks/],
    ] as const) {
      proxy.instruct(`set ${flags}`);
      const { error } = await tryTo({ pin: wrongPin(), allowFinalTry: true });
      expect(error).toMatchObject({ code: "ERR_PIN_INCORRECT", message: expect.stringMatching(told) });
    }
  });

  test("a token that locks after three wrong PINs gets two, and the right one then", async () => {
    expect(await tryTo({ pin })).toEqual({ logins: ["C_Login pin"] }); // the token forgets earlier ones
    proxy.instruct("tries 3");
    const wrong = wrongPin();
    const refused = { code: "ERR_PIN_INCORRECT" };
    expect(await tryTo({ pin: wrong })).toMatchObject({ logins: ["C_Login pin"], error: refused });
    for (let again = 0; again < 3; again++) {
      expect(await tryTo({ pin: wrong })).toMatchObject({ logins: [], error: refused });
    }
    expect(await tryTo({ pin: wrongPin() })).toMatchObject({ logins: ["C_Login pin"], error: refused });
    expect(await tryTo({ pin: wrongPin() })).toMatchObject({
      logins: [],
      error: { code: "ERR_PIN_FINAL_TRY" },
    });
    expect(await tryTo({ pin, allowFinalTry: true })).toEqual({ logins: ["C_Login pin"] });
    expect(await tryTo({ pin })).toEqual({ logins: ["C_Login pin"] });
  });

  test("a function is asked for the PIN once, be there 256 calls and a login to make anew", async () => {
    const ask = jest.fn(async () => Buffer.from(pin));
    const before = proxy.calls().length;
    const opened = await openPkcs11Key({ ...key, pin: ask, threads: 4 });
    const flood = (): Promise<Uint8Array[]> =>
      Promise.all(Array.from({ length: 256 }, () => opened.mac(Buffer.from("20261124"))));
    try {
      const [mac, ...macs] = await flood();
      proxy.instruct("broken 0x30"); // until the module is started anew
      for (const other of [...macs, ...(await flood())]) expect(other).toEqual(mac);
    } finally {
      await opened.close();
    }
    expect(ask).toHaveBeenCalledTimes(1);
    const logins = proxy.calls().slice(before);
    expect(logins.filter((call) => call === "C_Login pin")).toHaveLength(2);
  });

  test("of wrong PINs none is forgotten", async () => {
    const wrong = Array.from({ length: 12 }, wrongPin);
    for (const one of wrong) expect((await tryTo({ pin: one })).logins).toEqual(["C_Login pin"]);
    for (const one of wrong) {
      expect(await tryTo({ pin: one })).toMatchObject({ logins: [], error: { code: "ERR_PIN_INCORRECT" } });
    }
  });

  test("a PIN that was refused is not sent by a worker thread either", async () => {
    const wrong = wrongPin();
    expect((await tryTo({ pin: wrong })).logins).toHaveLength(1);
    const before = proxy.calls().length;
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       const { openPkcs11Key } = require(workerData.library);
       openPkcs11Key(workerData.options).then(() => "opened", (error) => error.code).then((result) => parentPort.postMessage(result));`,
      {
        eval: true,
        workerData: { library: path.join(__dirname, "..", "..", "dist"), options: { ...key, pin: wrong } },
      },
    );
    expect(await once(worker, "message")).toEqual(["ERR_PIN_INCORRECT"]);
    await worker.terminate();
    expect(proxy.calls().slice(before)).not.toContain("C_Login pin");
  });

  test("a token without login is used without one, be there a PIN or not", async () => {
    const options = ["--module", hsm.module, "--token-label", "login", "--login", "--pin", "env:PIN"];
    const make = ["--keygen", "--key-type", "GENERIC:32", "--label", "public", "--sensitive"];
    await runTool("pkcs11-tool", [...options, ...make], { env: { ...hsm.env, PIN: pin } });
    proxy.instruct(`clear ${loginRequired}`);
    for (const login of [{}, { pin }, { pinPad: true }]) {
      expect(await tryTo({ label: "public", ...login })).toEqual({ logins: [] });
    }
  });
});
