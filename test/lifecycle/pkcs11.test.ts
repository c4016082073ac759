import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { importPkcs11Key } from "../../lib/index.js";
import { until } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";
import { child, runChild } from "./run-child.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const mac = createHmac("sha256", `AWS4${secret}`).update("20261123").digest("hex");

describeWith(["softhsm"], "process life with a PKCS#11 module that misbehaves", () => {
  let hsm: SoftHsm;
  let proxy: ProxyModule;
  let key: { tokenLabel: string; label: string; pin: string };

  beforeAll(async () => {
    hsm = await makeSoftHsm("life");
    key = { tokenLabel: "life", label: "signer", pin: hsm.pin };
    await importPkcs11Key(Buffer.from(secret), { ...key, module: hsm.module });
    proxy = await makeProxyModule(hsm.module);
  });
  afterEach(() => proxy.instruct());
  afterAll(() => {
    proxy.remove();
    hsm.remove();
  });

  test.each([1, 4])(
    "process.exit() keeps its code while %i threads hang in the module",
    async (threads) => {
      proxy.instruct("hang C_Sign");
      const signed = (): number => proxy.calls().filter((call) => call === "C_Sign").length;
      const before = signed();
      const device = JSON.stringify({ pkcs11: { ...key, module: proxy.module, threads } });
      const exiting = spawn(process.execPath, [child, "exit while the device hangs at a MAC", device], {
        stdio: ["pipe", "inherit", "inherit"],
        env: proxy.env,
      });
      const exit = new Promise((resolve) => exiting.once("exit", (code, signal) => resolve([code, signal])));
      try {
        await until("all threads hang", () => signed() === before + threads);
        const begin = Date.now();
        exiting.stdin.write("exit\n");
        expect(await exit).toEqual([7, null]);
        expect(Date.now() - begin).toBeLessThan(10_000);
      } finally {
        exiting.kill("SIGKILL");
      }
    },
    60_000,
  );

  // SoftHSM has no such token, for a process that starts while another one logs in.
  test("eight processes open, sign and close at once, many times", async () => {
    for (let round = 0; round < 3; round++) {
      const device = { pkcs11: { ...key, module: hsm.module } };
      const processes = Array.from({ length: 8 }, () => runChild("open and close many times", device));
      for (const outcome of await Promise.all(processes)) {
        expect(outcome).toEqual({ code: 0, signal: null, stdout: `${mac}\n`, stderr: "" });
      }
    }
  }, 180_000);
});
