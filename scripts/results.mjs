// node scripts/results.mjs: the sum of every test run since the last `npm test` began, one closing line.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { program, root } from "./run.mjs";

const folder = path.join(root, "build", "results");

/** Forgets earlier runs. */
export function clearResults() {
  rmSync(folder, { recursive: true, force: true });
}

/** Where a test program shall write its JSON report; an older one is removed. */
export function reportFile(name) {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name.replaceAll(/[^\w.]+/g, "-")}.report`);
  rmSync(file, { force: true });
  return file;
}

/** Keeps the counts of one run, `{ name, passed, failed, skipped }`, and gives them back. */
export function keepResult(result) {
  writeFileSync(`${reportFile(result.name).slice(0, -".report".length)}.json`, JSON.stringify(result));
  return result;
}

/** The counts in jest's report. A suite that could not start counts as a failed test. */
export function jestCounts(report) {
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.length,
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** The counts in GoogleTest's report. */
export function googleTestCounts(report) {
  const tests = report.testsuites.flatMap(({ testsuite }) => testsuite);
  const count = (test) => tests.filter(test).length;
  const failed = count((test) => test.failures !== undefined);
  const skipped = count(
    (test) => test.failures === undefined && (test.result === "SKIPPED" || test.status === "NOTRUN"),
  );
  return { passed: tests.length - failed - skipped, failed, skipped };
}

const line = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/** Every result kept since the last `clearResults`, oldest first. */
export function keptResults() {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => path.join(folder, name));
  files.sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs);
  return files.map((file) => JSON.parse(readFileSync(file, "utf8")));
}

/**
 * Prints each result and the sum, and sets the exit code: failures always fail; with CI=true a skipped test
 * does too, and so does a run of no test at all.
 */
export function printResults(results) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const width = Math.max(...results.map(({ name }) => name.length));
  console.log();
  for (const result of results) {
    for (const key of Object.keys(sum)) sum[key] += result[key];
    console.log(`  ${result.name.padEnd(width)}  ${line(result)}`);
  }
  console.log(line(sum));
  const strict = process.env.CI === "true";
  if (sum.failed > 0 || (strict && (sum.skipped > 0 || sum.passed === 0))) process.exitCode = 1;
}

await program(import.meta.url, () => printResults(keptResults()));
