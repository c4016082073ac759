// npm test: every suite on this Node, the contract and life-cycle suites on the other supported ones, and the
// native tests plain and under the sanitizers. `npm test -- ARGUMENTS` runs jest with these, on this Node only.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { build } from "./build.mjs";
import { runNativeTests } from "./native-tests.mjs";
import { nodeBinary, supported } from "./nodes.mjs";
import { installPython } from "./python.mjs";
import { clearResults, jestCounts, keepResult, keptResults, printResults, reportFile } from "./results.mjs";
import { exitCode, program, root, say } from "./run.mjs";
import { requirePackages } from "./setup.mjs";
import { useOwnTemporaryFolder } from "./temporary.mjs";

const jestProgram = path.join(root, "node_modules", "jest", "bin", "jest.js");

// How long jest may take to end, in milliseconds, once it has written its report.
const patience = 30_000;

/** Runs jest with a Node, keeps the counts and gives them. */
export async function jest(node, name, args) {
  say(`jest on ${name}`);
  const report = reportFile(name);
  const lingering = new AbortController();
  let reported;
  const watch = setInterval(() => {
    if (existsSync(report)) reported ??= Date.now();
    if (Date.now() - reported > patience) lingering.abort();
  }, 500);
  const options = { signal: lingering.signal, killSignal: "SIGKILL" };
  const code = await exitCode(
    node,
    [jestProgram, "--json", "--outputFile", report, ...args],
    options,
  ).finally(() => clearInterval(watch));
  if (lingering.signal.aborted) say("jest did not end: a test left something open");
  const counts = existsSync(report)
    ? jestCounts(JSON.parse(readFileSync(report, "utf8")))
    : { passed: 0, failed: 0, skipped: 0 };
  // What jest itself could not do, without a test that says so, is a failure too.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return keepResult({ name, ...counts });
}

await program(import.meta.url, async (args) => {
  useOwnTemporaryFolder();
  // p11-kit starts tpm2-pkcs11 with the others, and it would begin a database in the home folder.
  process.env.TPM2_PKCS11_STORE ??= process.env.TMPDIR;
  clearResults();
  await requirePackages(["build", "devices", "tokens", "servers", "native"]);
  await installPython();
  await build();
  const own = `Node ${process.versions.node}`;
  if (args.length > 0) {
    await jest(process.execPath, own, args);
  } else {
    await jest(process.execPath, `${own}, all suites`, []);
    const current = Number.parseInt(process.versions.node, 10);
    for (const major of supported.filter((version) => version !== current)) {
      const node = await nodeBinary(major);
      await jest(node, `Node ${major}, contract and lifecycle`, ["test/contract", "test/lifecycle"]);
    }
    await runNativeTests("");
    await runNativeTests("address,undefined");
  }
  printResults(keptResults());
});
