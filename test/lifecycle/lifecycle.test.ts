import { spawn } from "node:child_process";
import { type Backend, backends, type ChildKey, type Device } from "../support/backends.js";
import { type HungTpm, startHungTpm } from "../support/hung-tpm.js";
import { describeWith } from "../support/requirements.js";
import { child, runChild } from "./run-child.js";

function lifecycle({ name, start }: Backend): void {
  let device: Device;
  beforeAll(async () => {
    device = await start();
  }, 60_000);
  afterAll(() => device?.stop());

  // A race shows only sometimes: each of these is run several times.
  test.each([
    ["exit with work in flight", 7],
    ["exit in a promise callback while another key opens", 7],
    ["exit while worker threads sign", 7],
    ["uncaught exception with work in flight", 1],
    ["unhandled rejection with work in flight", 1],
  ])(
    "%s: exit code %d, no crash",
    async (scenario, code) => {
      for (let round = 0; round < 8; round++) {
        const outcome = await runChild(scenario, device.child as ChildKey);
        expect([outcome.code, outcome.signal, code === 1 || outcome.stderr]).toEqual([
          code,
          null,
          code === 1 || "",
        ]);
      }
    },
    120_000,
  );

  test.each([
    ["end with a key left open", "signed\n"],
    ["stay alive while a call is pending", "32\n"],
    ["close, then end", "64\nERR_CLOSED\n"],
    ["worker threads end early", "alive\n"],
    ["worker threads exit by themselves", "alive\n"],
    ["main thread and worker threads together", "0,0\n"],
    ["keys are collected when nobody holds them", "collected\n"],
    ["a key is not collected while it works", "512\n"],
  ])(
    "%s",
    async (scenario, stdout) => {
      expect(await runChild(scenario, device.child as ChildKey)).toEqual({
        code: 0,
        signal: null,
        stdout,
        stderr: "",
      });
    },
    90_000,
  );

  if (name === "tpm") {
    test("nothing of ours is left in the device by any of these ends", async () => {
      expect(await device.leftovers?.()).toEqual([]);
    });
  }
}

for (const backend of backends.filter(({ name }) => name !== "memory")) {
  describeWith(backend.needs, `process life with the ${backend.name} backend`, () => lifecycle(backend));
}

describe("process life with a TPM that hangs", () => {
  let hung: HungTpm;
  let tpm: object;

  beforeAll(async () => {
    hung = await startHungTpm();
    tpm = { tcti: hung.tcti, handle: 0x81008001, timeout: 500 };
  });
  afterAll(() => hung?.stop());

  test("a call rejects with ERR_TIMEOUT and the process ends", async () => {
    const begin = Date.now();
    const outcome = await runChild("time out while the device hangs", { tpm });
    expect(outcome).toEqual({ code: 0, signal: null, stdout: "ERR_TIMEOUT\n", stderr: "" });
    expect(Date.now() - begin).toBeLessThan(10_000);
  }, 60_000);

  test("process.exit() keeps its code", async () => {
    const begin = Date.now();
    const command = hung.nextCommand();
    const exiting = spawn(process.execPath, [child, "exit while the device hangs", JSON.stringify({ tpm })], {
      stdio: ["pipe", "inherit", "inherit"],
    });
    const exit = new Promise((resolve) => exiting.once("exit", (code, signal) => resolve([code, signal])));
    try {
      await Promise.race([command, exit]);
      exiting.stdin.write("exit\n");
      expect(await exit).toEqual([7, null]);
      expect(Date.now() - begin).toBeLessThan(10_000);
    } finally {
      exiting.kill("SIGKILL");
    }
  }, 60_000);
});
