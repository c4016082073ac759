import { spawn } from "node:child_process";
import { once } from "node:events";
import { importPkcs11Key } from "../../lib/provision/pkcs11.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { backends, secretAccessKey } from "../support/backends.js";
import { cliEnvironment, cliProgram, keyFlags, runAtTerminal, runCli } from "../support/cli.js";
import type { Ended } from "../support/example.js";
import { until } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";
import { startSwtpm } from "../support/swtpm.js";

interface Result {
  name: string;
  count: number;
  seconds: number;
  rate: number;
  latency: { p50: number; p90: number; p99: number; max: number };
  histogram: { from: number; to: number; count: number }[];
}

/** What must hold of any measurement. */
function expectSound({ count, seconds, rate, latency, histogram }: Result): void {
  expect(count).toBeGreaterThan(0);
  expect(rate).toBeCloseTo(count / seconds, 3);
  const { p50, p90, p99, max } = latency;
  expect([p50, p90, p99, max]).toEqual([p50, p90, p99, max].sort((a, b) => a - b));
  expect(histogram.reduce((sum, bar) => sum + bar.count, 0)).toBe(count);
  const last = histogram.at(-1);
  // the histogram's own figures have three digits
  expect(max * 1.002).toBeGreaterThanOrEqual(last?.from ?? Number.NaN);
  expect(max * 0.998).toBeLessThan(last?.to ?? Number.NaN);
  const atMost = (time: number): number =>
    histogram.filter(({ from }) => from <= time * 1.002).reduce((sum, bar) => sum + bar.count, 0);
  // the histogram rounds to whole calls
  expect(atMost(p50)).toBeGreaterThanOrEqual(0.5 * count - 1);
  expect(atMost(p99)).toBeGreaterThanOrEqual(0.99 * count - 1);
}

/** Whether the first MAC was measured before the signal came is left open. */
function expectInterrupted({ code, stdout, stderr }: Ended): void {
  if (code !== 0) {
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/aws-hmac: interrupted before anything was measured\n$/);
    return;
  }
  const { results } = JSON.parse(stdout) as { results: Result[] };
  expect(results.map(({ name }) => name)).toEqual(["MACs"]);
  for (const result of results) expectSound(result);
}

/** Runs it until it says that it measures MACs, then does something, and waits for its end. */
async function during(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  act: (kill: (signal: NodeJS.Signals) => void) => void | Promise<void>,
): Promise<Ended> {
  const child = spawn(process.execPath, [cliProgram, "bench", ...args], { env: cliEnvironment(env) });
  const ended = once(child, "close");
  let [stdout, stderr, acted] = ["", "", false];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    if (acted || !stderr.includes("measuring MACs")) return;
    acted = true;
    Promise.resolve(act((signal) => child.kill(signal))).catch(() => child.kill("SIGKILL"));
  });
  const [code, signal] = await ended;
  return { code: code ?? signal, stdout, stderr };
}

for (const backend of backends.filter(({ name }) => name === "tpm" || name === "pkcs11")) {
  describeWith(backend.needs, `aws-hmac bench with a key in ${backend.name}`, () => {
    let device: Awaited<ReturnType<typeof backend.start>>;
    let args: string[];
    let env: NodeJS.ProcessEnv;
    beforeAll(async () => {
      device = await backend.start();
      ({ args, env } = keyFlags(device.child));
    });
    afterAll(() => device?.stop());

    test("MACs and signatures, in JSON", async () => {
      const flags = ["--seconds", "1", "--concurrency", "4", "--json"];
      const { code, stdout, stderr } = await runCli(["bench", ...args, ...flags], { env });
      expect([code, stderr]).toEqual([
        ...[0, "aws-hmac: measuring MACs for 1 s\naws-hmac: measuring signatures for 1 s\n"],
      ]);
      const { results, ...rest } = JSON.parse(stdout) as { results: Result[] };
      expect(rest).toEqual({ backend: backend.name, concurrency: 4 });
      expect(results.map(({ name }) => name)).toEqual(["MACs", "signatures"]);
      for (const result of results) {
        expectSound(result);
        expect(result.seconds).toBeGreaterThanOrEqual(1);
      }
    });

    test("a table with bars for people", async () => {
      const { code, stdout } = await runCli(["bench", ...args, "--seconds", "1"], { env });
      expect(code).toBe(0);
      expect(stdout).toMatch(
        /^MACs, 1 at a time: [\d.]+ a second \(\d+ in 1\.\d s\)\n {2}p50 [\d.]+ ms, p90 .* ms, p99 .* ms, max [\d.]+ ms\n(?: +[\d.]+ to +[\d.]+ ms +[\d.]+ %(?: #+)?\n)+signatures, 1 at a time: /,
      );
      expect(stdout).toContain(` ${"#".repeat(40)}\n`);
    });

    test("SIGINT and SIGTERM end it at once, and nothing is left in the device", async () => {
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        const ended = await during([...args, "--seconds", "600", "--json"], env, (kill) => kill(signal));
        expectInterrupted(ended);
      }
      expect((await device.leftovers?.()) ?? []).toEqual([]);
    });
  });
}

describeWith(["softhsm"], "aws-hmac bench and its token", () => {
  let hsm: SoftHsm;
  let proxy: ProxyModule;
  let args: string[];
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    hsm = await makeSoftHsm();
    proxy = await makeProxyModule(hsm.module);
    const { module, tokenLabel, pin } = hsm;
    await importPkcs11Key(Buffer.from(secretAccessKey), { module, tokenLabel, pin, label: "signer" });
    const key = `pkcs11:token=${encodeURIComponent(tokenLabel)};object=signer?module-path=${proxy.module}`;
    args = ["-k", key, "--pin-env", "TEST_PIN"];
    env = { ...proxy.env, TEST_PIN: pin };
  }, 60_000);
  afterAll(() => {
    hsm?.remove();
    proxy?.remove();
  });

  test("each MAC is one of the token's, and so is the day's for the signatures", async () => {
    const before = proxy.calls().length;
    const { stdout } = await runCli(["bench", ...args, "--seconds", "1", "--json"], { env });
    const { results } = JSON.parse(stdout) as { results: [Result, Result] };
    const signed = proxy
      .calls()
      .slice(before)
      .filter((call) => call === "C_Sign").length;
    const days = signed - results[0].count - 1; // the first MAC is not measured
    expect([1, 2]).toContain(days); // two around midnight
  });

  test("SIGINT ends it with what there is", async () => {
    const before = proxy.calls().length;
    const made = (): number =>
      proxy
        .calls()
        .slice(before)
        .filter((call) => call === "C_Sign").length;
    const ended = await during([...args, "--seconds", "600", "--json"], env, async (kill) => {
      await until("MACs", () => made() > 10);
      kill("SIGINT");
    });
    expect([ended.code, ended.stderr]).toEqual([0, "aws-hmac: measuring MACs for 600 s\n"]);
    const { results } = JSON.parse(ended.stdout) as { results: Result[] };
    expect(results.map(({ name }) => name)).toEqual(["MACs"]);
    for (const result of results) expectSound(result);
    const unmeasured = made() - (results[0]?.count ?? 0);
    expect([1, 2]).toContain(unmeasured); // the first one, and one that was interrupted
  });

  test("an error of the token ends it", async () => {
    proxy.instruct("fail C_Sign 0x30");
    const { code, stdout, stderr } = await runCli(["bench", ...args, "--seconds", "1"], { env });
    proxy.instruct();
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/\[ERR_PKCS11_DEVICE\]\n$/);
  });
});

describeWith(["swtpm", "tpm2-tools"], "aws-hmac bench and a TPM that hangs", () => {
  test("SIGINT ends it", async () => {
    const tpm = await startSwtpm();
    try {
      const { reference } = await importTpmKey(Buffer.from(secretAccessKey), {
        tcti: tpm.tcti,
        handle: 0x81008001,
      });
      const begin = Date.now();
      const ended = await during(
        ["-k", reference, "--timeout", "2000", "--seconds", "600", "--json"],
        {},
        (kill) => {
          tpm.suspend();
          kill("SIGINT");
        },
      );
      expect(Date.now() - begin).toBeLessThan(30_000);
      expectInterrupted(ended);
    } finally {
      tpm.resume();
      await tpm.stop();
    }
  }, 60_000);
});

const kms = "aws-kms:arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
test("AWS KMS, which bills each MAC, is not asked without a yes", async () => {
  const refused = await runCli(["bench", "-k", kms]);
  expect([refused.code, refused.stdout]).toEqual([5, ""]);
  expect(refused.stderr).toContain("AWS bills each MAC. Ask it for 5 s? Say so with --yes");
  const question = "Ask it for 5 s? [y/N] ";
  const { code, shown } = await runAtTerminal(["bench", "-k", kms], [{ question, answer: "n\r" }]);
  expect([code, shown]).toEqual([5, expect.stringContaining("nothing was measured")]);
});

test.each([
  [["bench"], /--key is missing: give it, set AWS_HMAC_KEY/],
  [["bench", "-k", "tpm:0x81008001", "--seconds", "0"], /--seconds must be 1 to 86400/],
  [["bench", "-k", "tpm:0x81008001", "--concurrency", "257"], /--concurrency must be 1 to 256/],
  [["bench", "--seconds", "long"], /It must be a whole number/],
])("%j is refused on stderr, with exit code 2 and nothing on stdout", async (args, message) => {
  const { code, stdout, stderr } = await runCli(args);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, ""]);
});
