import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { temporaryFolder } from "./process.js";
import { describeWith, lacking, type Requirement } from "./requirements.js";

const root = path.join(__dirname, "..", "..");
const jestProgram = path.join(root, "node_modules", "jest", "bin", "jest.js");
const inside = "AWS_HMAC_TEST_NAMESPACE";

/** Namespaces of one's own for mounts, System V IPC and processes; all processes in them end with the first one. */
export const unshare = ["--mount", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child"];

/** What jest's JSON report says of one test. */
interface Outcome {
  title: string;
  ancestorTitles: string[];
  status: string;
  failureMessages: string[];
}

/**
 * A suite that another jest runs in namespaces of its own: what it mounts and starts there, nobody else sees, and it
 * ends with it. Here there is a test for each of its tests, which tells how it went.
 *
 * @param file the test file that calls this, and nothing else: `__filename`
 */
export function describeInNamespace(
  needs: readonly Requirement[],
  name: string,
  file: string,
  suite: () => void,
): void {
  if (process.env[inside] !== undefined) {
    describe(name, suite);
    return;
  }
  const all = [...needs, "namespaces"] as const;
  if (lacking(all).length > 0) {
    describeWith(all, name, suite);
    return;
  }
  describe(name, () => {
    for (const { title, ancestorTitles, status, failureMessages } of runInNamespace(file)) {
      test([...ancestorTitles.slice(1), title].join(" "), () => {
        expect([status, ...failureMessages]).toEqual(["passed"]);
      });
    }
  });
}

function runInNamespace(file: string): Outcome[] {
  const { folder, remove } = temporaryFolder("namespace");
  try {
    const report = path.join(folder, "report.json");
    const run = [
      process.execPath,
      jestProgram,
      "--runInBand",
      "--json",
      "--outputFile",
      report,
      "--runTestsByPath",
    ];
    const options = { cwd: root, env: { ...process.env, [inside]: "1" }, encoding: "utf8" } as const;
    const { stderr } = spawnSync("unshare", [...unshare, ...run, file], { ...options, timeout: 120_000 });
    const { testResults } = JSON.parse(readReport(report, stderr)) as {
      testResults: { message: string; assertionResults: Outcome[] }[];
    };
    const outcomes = testResults.flatMap(({ assertionResults }) => assertionResults);
    if (outcomes.length === 0) throw new Error(testResults.map(({ message }) => message).join("\n"));
    return outcomes;
  } finally {
    remove();
  }
}

function readReport(file: string, stderr: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new Error(`jest wrote no report: ${stderr}`);
  }
}
