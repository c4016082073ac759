// One scenario of a process's life, run by lifecycle.test.ts: node child.cjs SCENARIO DEVICE-AS-JSON
const { setTimeout: later } = require("node:timers/promises");
const { readdirSync, readFileSync } = require("node:fs");
const { Worker, isMainThread, workerData } = require("node:worker_threads");
const { openKey, openPkcs11Key, openTpmKey } = require("../..");

const [scenario, device] = isMainThread ? [process.argv[2], JSON.parse(process.argv[3])] : workerData;
const open = () => {
  if (device.reference) return openKey(device.reference, device.options);
  return device.tpm ? openTpmKey(device.tpm) : openPkcs11Key(device.pkcs11);
};
const message = Buffer.from("20261123");
const flood = (key, count = 64) => Array.from({ length: count }, () => key.mac(message));
const thread = (inner) => new Worker(__filename, { workerData: [inner, device] });
const ended = (worker) => new Promise((resolve) => worker.once("exit", resolve));
const deviceThreads = () =>
  readdirSync("/proc/self/task").filter(
    (task) => readFileSync(`/proc/self/task/${task}/comm`, "utf8").trim() === "aws-hmac",
  ).length;

async function until(what, ready) {
  for (const end = Date.now() + 10_000; !ready(); await later(10)) {
    if (Date.now() > end) throw new Error(`${what}: not after 10 s`);
  }
}

const scenarios = {
  async "exit with work in flight"() {
    const key = await open();
    const calls = flood(key);
    await calls[3];
    process.exit(7);
  },
  async "exit when told to, with work in flight"() {
    const key = await open();
    flood(key).forEach((call) => void call.catch(() => undefined));
    process.stdin.once("data", () => process.exit(7));
  },
  async "exit in a promise callback while another key opens"() {
    const key = await open();
    void open();
    flood(key);
    setImmediate(() => process.exit(7));
  },
  async "uncaught exception with work in flight"() {
    const key = await open();
    await flood(key)[3];
    setImmediate(() => {
      throw new Error("the program's own mistake");
    });
  },
  async "unhandled rejection with work in flight"() {
    const key = await open();
    await flood(key)[3];
    void Promise.reject(new Error("the program's own mistake"));
  },
  async "end with a key left open"() {
    const key = await open();
    await key.mac(message);
    console.log("signed");
  },
  async "stay alive while a call is pending"() {
    const key = await open();
    key.mac(message).then((mac) => console.log(mac.length));
  },
  async "close, then end"() {
    const key = await open();
    const calls = flood(key);
    await key.close();
    console.log((await Promise.all(calls)).length);
    console.log(await key.mac(message).catch((error) => error.code));
  },
  async "worker threads end early"() {
    // Only worker threads load the addon: without -z nodelete Node unmaps it under its live threads.
    for (let round = 0; round < 8; round++) {
      const worker = thread("(thread) sign for ever");
      await new Promise((resolve) => worker.once("message", resolve));
      await worker.terminate();
    }
    await until("device threads end", () => deviceThreads() === 0);
    console.log("alive");
  },
  async "worker threads exit by themselves"() {
    for (let round = 0; round < 4; round++) await ended(thread("(thread) exit with work in flight"));
    console.log("alive");
  },
  async "exit while worker threads sign"() {
    const workers = [thread("(thread) sign for ever"), thread("(thread) sign for ever")];
    await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", resolve))));
    process.exit(7);
  },
  async "main thread and worker threads together"() {
    const key = await open();
    const workers = [thread("(thread) sign and close"), thread("(thread) sign and close")];
    const calls = flood(key, 256);
    console.log((await Promise.all(workers.map(ended))).join());
    await Promise.all(calls);
    await key.close();
  },
  async "keys are collected when nobody holds them"() {
    for (let round = 0; round < 5; round++) {
      await (await open()).mac(message);
      await until("device threads end", () => {
        globalThis.gc();
        return deviceThreads() === 0;
      });
    }
    console.log("collected");
  },
  async "a key is not collected while it works"() {
    const calls = flood(await open(), 512);
    for (let round = 0; round < 20; round++) {
      globalThis.gc();
      await later(1);
    }
    console.log((await Promise.all(calls)).length);
  },
  async "(thread) sign for ever"() {
    const { parentPort } = require("node:worker_threads");
    const key = await open();
    await key.mac(message);
    parentPort.postMessage("signing");
    for (;;) await Promise.all(flood(key));
  },
  async "(thread) exit with work in flight"() {
    const key = await open();
    await flood(key)[3];
    process.exit(3);
  },
  async "(thread) sign and close"() {
    const key = await open();
    await Promise.all(flood(key));
    await key.close();
  },
  async "exit while the device hangs"() {
    open().catch(() => undefined); // whether it is still to time out when we exit is not what counts
    // The device has got its first command when the test tells us so.
    process.stdin.once("data", () => process.exit(7));
  },
  async "fail in many ways"() {
    for (const options of device.attempts) {
      const outcome = openTpmKey(options).then((key) => key.mac(message).finally(() => key.close()));
      console.log(
        await outcome.then(
          () => "signed",
          ({ code }) => code,
        ),
      );
    }
  },
  async "open as nobody"() {
    await openTpmKey({ tcti: "device:/dev/no-such-tpm", handle: 0x81008001 }).catch(() => undefined); // loads the addon
    if (process.getuid() === 0) process.setuid(65534);
    const { code, rcName, message: words } = await open().catch((error) => error);
    console.log(code, rcName, words);
  },
  async "exit while the device hangs at a MAC"() {
    const key = await open();
    for (const call of flood(key)) call.catch(() => undefined);
    process.stdin.once("data", () => process.exit(7));
  },
  async "open and close many times"() {
    const macs = new Set();
    for (let round = 0; round < 10; round++) {
      const key = await open();
      macs.add(Buffer.from(await key.mac(message)).toString("hex"));
      await key.close();
    }
    console.log([...macs].join());
  },
  async "time out while the device hangs"() {
    console.log(await open().catch((error) => error.code));
  },
};

scenarios[scenario]();
