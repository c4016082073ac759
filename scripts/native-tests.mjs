// node scripts/native-tests.mjs [--sanitize address,undefined | --sanitize thread] [GoogleTest arguments…]
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { requireModules } from "./build.mjs";
import { googleTestCounts, keepResult, printResults, reportFile } from "./results.mjs";
import { exitCode, program, root, run, say } from "./run.mjs";
import { requirePackages } from "./setup.mjs";
import { useOwnTemporaryFolder } from "./temporary.mjs";

/** Starts the devices that the tests find through the environment; gives that environment and what ends them. */
async function startDevices() {
  // The support code is TypeScript, and its loader a dependency that a clean checkout lacks until now.
  const { tsImport } = await import("tsx/esm/api");
  const { startSwtpm } = await tsImport("../test/support/swtpm.ts", import.meta.url);
  const { makeSoftHsm } = await tsImport("../test/support/softhsm.ts", import.meta.url);
  const token = await makeSoftHsm();
  const tpm = await startSwtpm();
  return {
    env: {
      AWS_HMAC_TEST_TCTI: tpm.tcti,
      SOFTHSM2_CONF: token.conf,
      AWS_HMAC_TEST_PKCS11_MODULE: token.module,
      AWS_HMAC_TEST_PKCS11_TOKEN: token.tokenLabel,
      AWS_HMAC_TEST_PKCS11_PIN: token.pin,
    },
    async stop() {
      await tpm.stop();
      token.remove();
    },
  };
}

/** LeakSanitizer's options where the installed tpm2-tss leaks by itself: other versions are judged without them. */
function leakOptions() {
  const version = execFileSync("pkg-config", ["--modversion", "tss2-tctildr"], { encoding: "utf8" }).trim();
  const file = path.join(root, "test", "native", `lsan-tss2-${version}.supp`);
  return existsSync(file) ? { LSAN_OPTIONS: `suppressions=${file}` } : {};
}

/** Builds test/native with the sanitizers ("" for none), runs it on devices of its own, keeps the counts and gives them. */
export async function runNativeTests(sanitize, args = []) {
  await requirePackages(["build", "devices", "native"]);
  await requireModules();
  const kind = sanitize === "" ? "plain" : sanitize.replaceAll(",", "-");
  const folder = path.join(root, "build", `native-${kind}`);
  say(`building the native tests (${kind})`);
  const settings = { NATIVE_TESTS: "ON", SANITIZE: sanitize };
  const definitions = Object.entries(settings).map(([name, value]) => `-DAWS_HMAC_${name}=${value}`);
  await run("cmake", ["-S", root, "-B", folder, "--log-level=WARNING", ...definitions]);
  await run("cmake", ["--build", folder, "--parallel", String(os.availableParallelism())]);

  say(`native tests (${kind})`);
  const name = `native tests, ${sanitize === "" ? "plain" : `${sanitize} sanitizer`}`;
  const report = reportFile(name);
  const devices = await startDevices();
  // SoftHSM races with itself: it calls gmtime, which is not for several threads, in C_GetTokenInfo.
  const suppressions = path.join(root, "test", "native", "tsan-softhsm.supp");
  const sanitizers = {
    ...leakOptions(),
    TSAN_OPTIONS: `suppressions=${suppressions}`,
    UBSAN_OPTIONS: "print_stacktrace=1",
  };
  const env = { ...process.env, ...devices.env, ...sanitizers };
  const counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    const tests = path.join(folder, "test", "native", "native_tests");
    const output = [`--gtest_output=json:${report}`, "--gtest_brief=1"];
    const code = await exitCode(tests, [...output, ...args], { env });
    if (existsSync(report)) Object.assign(counts, googleTestCounts(JSON.parse(readFileSync(report, "utf8"))));
    // A crash, or what a sanitizer finds at the end of the process, has no test of its own.
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
  } finally {
    await devices.stop();
  }
  return keepResult({ name, ...counts });
}

await program(import.meta.url, async (args) => {
  useOwnTemporaryFolder();
  const sanitize = args[0] === "--sanitize" ? args[1] : "";
  printResults([await runNativeTests(sanitize, args[0] === "--sanitize" ? args.slice(2) : args)]);
});
