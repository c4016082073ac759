import type { HmacKey } from "../../lib/core/hmac-key.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { commands } from "../support/interposer.js";
import { runTool, until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { startTerminal, type Terminal } from "../support/terminal.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { tap, type Wiretap } from "../support/wiretap.js";

const requests = 64;
const messages = Array.from({ length: requests }, (_, lane) => Buffer.from(`message ${lane}`));
const timedOut = { name: "TpmError", code: "ERR_TIMEOUT", rcName: "ETIMEDOUT", retryable: true };

/** Asks for MACs without a pause until it is stopped; each is checked. */
function keepBusy(key: HmacKey): { stop(): Promise<number> } {
  let stopped = false;
  let count = 0;
  const lanes = messages.slice(0, 8).map(async (message) => {
    for (; !stopped; count++) expect(await macOf(key, message)).toBe(expected(message));
  });
  return {
    async stop() {
      stopped = true;
      await Promise.all(lanes);
      return count;
    },
  };
}

describeWith(["swtpm", "tpm2-tools", "socat"], "the way to a TPM", () => {
  const suite = tpmSuite();
  const auth = { password };
  let pem: string;
  let keys: HmacKey[] = [];
  const open = async (options: TpmKeyOptions): Promise<HmacKey> => {
    const key = await suite.open({ auth, ...options });
    keys.push(key);
    return key;
  };
  /** Before the way to the TPM is closed, on which they release what they have there. */
  const closeKeys = async (): Promise<void> => {
    await Promise.all(keys.map((key) => key.close()));
    keys = [];
  };
  beforeAll(async () => {
    ({ pem } = await importTpmKey(Buffer.from(secret), {
      tcti: suite.tcti,
      auth,
      noDA: true,
      output: "pem",
    }));
  });

  describe("over a socket", () => {
    let wire: Wiretap;
    beforeEach(async () => {
      wire = await tap(suite.tcti);
    });
    afterEach(async () => {
      await wire.resume();
      await closeKeys();
      await wire.stop();
    });

    test("one connection carries many commands, and is closed when the key is idle", async () => {
      const key = await open({
        tcti: wire.tcti,
        pem,
        auth: { password, mode: "plain" },
        encryption: "none",
      });
      const before = wire.connections();
      const started = performance.now();
      for (let turn = 0; turn < 8; turn++) await Promise.all(messages.map((message) => key.mac(message)));
      const turns = (performance.now() - started) / 100;
      expect(wire.connections() - before).toBeLessThanOrEqual(turns + 2);
      expect(suite.tool("tpm2_getcap", "handles-transient")).not.toBe(""); // our open key
      expect(await macOf(key, day)).toBe(expected(day));
    });

    test("another client gets in while a key is busy without a pause", async () => {
      const key = await open({ pem });
      const busy = keepBusy(key);
      try {
        const started = performance.now();
        await runTool("tpm2_getcap", ["-T", suite.tcti, "properties-fixed"]);
        expect(performance.now() - started).toBeLessThan(5_000);
      } finally {
        expect(await busy.stop()).toBeGreaterThan(8);
      }
    });

    test("64 requests at a TPM that hangs take one time-out, and late answers are nobody's", async () => {
      const timeout = 500;
      const key = await open({ tcti: wire.tcti, pem, timeout });
      const refusals = async (): Promise<void> => {
        const started = performance.now();
        const settled = await Promise.allSettled(messages.map((message) => key.mac(message)));
        expect(performance.now() - started).toBeLessThan(2 * timeout + 500);
        for (const result of settled) {
          expect(result).toMatchObject({ status: "rejected", reason: timedOut });
        }
      };
      await wire.stallAfter(commands.hmac); // the TPM answers it, later
      await refusals();
      await refusals();
      await wire.resume();
      for (const message of messages) expect(await macOf(key, message)).toBe(expected(message));
    });

    test.each(["startAuthSession", "load", "readPublic", "getCapability"] as const)(
      "what a late answer to %s brings is flushed",
      async (command) => {
        const key = await open({ tcti: wire.tcti, pem, timeout: 300 });
        await suite.tpm.reset();
        suite.tool("tpm2_startup", "-c");
        await wire.stallAfter(commands[command]);
        await expect(key.mac(day)).rejects.toMatchObject(timedOut);
        await wire.resume();
        expect(await macOf(key, day)).toBe(expected(day));
      },
    );

    test("a late answer is waited for while nothing is asked, so that others get in", async () => {
      const key = await open({ tcti: wire.tcti, pem, timeout: 300 });
      await wire.stallAfter(commands.hmac);
      await expect(key.mac(day)).rejects.toMatchObject(timedOut);
      await wire.resume();
      await until("the lost session's end", () => suite.tool("tpm2_getcap", "handles-loaded-session") === "");
      expect(suite.tool("tpm2_getcap", "handles-transient")).toBe("");
      expect(await macOf(key, day)).toBe(expected(day));
    });

    test("commands that make keys may take longer than the time-out", async () => {
      await wire.stallAfter(commands.createPrimary);
      const opening = open({ tcti: wire.tcti, pem, timeout: 100 });
      const later = new Promise((resolve) => setTimeout(resolve, 1_000, "still waiting"));
      expect(await Promise.race([opening, later])).toBe("still waiting");
      await wire.resume();
      expect(await macOf(await opening, day)).toBe(expected(day));
    });

    test("a key closes in time though its TPM hangs", async () => {
      const key = await open({ tcti: wire.tcti, pem, timeout: 300 });
      await wire.stall();
      const started = performance.now();
      await key.close();
      expect(performance.now() - started).toBeLessThan(2_000);
      await wire.resume();
      for (const kind of ["-l", "-t"]) suite.tool("tpm2_flushcontext", kind); // nobody was left who could
    });
  });

  describe("over a device file", () => {
    let device: Terminal;
    beforeEach(async () => {
      device = await startTerminal(suite.tcti);
    });
    afterEach(async () => {
      await closeKeys();
      await device.stop();
    });

    test("a key is used, its TPM hangs and goes on", async () => {
      const key = await open({ tcti: `device:${device.path}`, pem, timeout: 500 });
      for (const length of [0, 8, 1024, 1025, 5000]) {
        const message = Buffer.alloc(length, "device");
        expect(await macOf(key, message)).toBe(expected(message));
      }
      device.suspend();
      const settled = await Promise.allSettled(messages.map((message) => key.mac(message)));
      expect(settled.map(({ status }) => status)).toEqual(Array(requests).fill("rejected"));
      device.resume();
      expect(await macOf(key, day)).toBe(expected(day));
    });

    test("a key is imported", async () => {
      const place = { tcti: `device:${device.path}`, auth };
      await importTpmKey(Buffer.from(secret), { ...place, handle });
      const key = await open({ ...place, handle });
      expect(await macOf(key, day)).toBe(expected(day));
      await key.close();
      await device.stop();
      suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
    });
  });

  test("over a TCTI of others", async () => {
    const port = /port=(\d+)/.exec(suite.tcti)?.[1];
    const key = await open({ tcti: `cmd:socat - TCP:127.0.0.1:${port}`, pem });
    for (const message of [day, Buffer.alloc(3000)])
      expect(await macOf(key, message)).toBe(expected(message));
    await key.close();
  });
});
