import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { makeProgram } from "../../lib/cli/program.js";
import { cliEnvironment, cliProgram, runCli } from "../support/cli.js";

const { version } = JSON.parse(readFileSync(path.join(__dirname, "..", "..", "package.json"), "utf8")) as {
  version: string;
};

test("says its version on stdout", async () => {
  expect(await runCli(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test.each([
  [[], /^Usage: aws-hmac /],
  [["nonsense"], /unknown command 'nonsense'/],
  [["presign", "--nonsense"], /unknown option '--nonsense'/],
  [["presign"], /give a URL, or --stdin/],
  [["presign", "https://a.example/", "--stdin"], /give a URL, or --stdin/],
  [["presign", "--expires", "soon", "https://a.example/"], /It must be a whole number/],
  [
    ["presign", "https://a.example/"],
    /--access-key-id is missing: give it, set AWS_HMAC_ACCESS_KEY_ID, or write/,
  ],
  [["presign", "-i", "AKIA", "https://a.example/"], /--region is missing: give it, set AWS_REGION/],
  [
    ["presign", "-i", "AKIA", "-r", "eu-central-1", "https://a.example/"],
    /--key is missing: give it, set AWS_HMAC_KEY/,
  ],
  [
    ["presign", "-i", "AKIA", "-r", "eu-central-1", "-k", "nonsense:", "https://a.example/"],
    /reference is not usable.*\[ERR_INVALID_ARGUMENT\]/,
  ],
  [["completion", "tcsh"], /Allowed choices are bash, zsh, fish/],
])("%j is refused on stderr, with exit code 2 and nothing on stdout", async (args, message) => {
  const { code, stdout, stderr } = await runCli(args);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, ""]);
});

/** Runs `aws-hmac` without a reader of its stdout, or of its stderr; gives its exit code and what the other has. */
async function unread(stream: "stdout" | "stderr", args: readonly string[]): Promise<[unknown, string]> {
  const child = spawn(process.execPath, [cliProgram, ...args], { env: cliEnvironment() });
  child[stream].destroy();
  let text = "";
  child[stream === "stdout" ? "stderr" : "stdout"].on("data", (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, "close");
  return [code, text];
}

const names = makeProgram().commands.map((command) => command.name());
test.each([
  ...names.map((name) => [name, "--help"]),
  ["completion", "bash"],
  ["explain", "https://a.example/"],
])("%s %s: a reader of stdout that is gone is no failure", async (...args) => {
  const who = args[0] === "explain" ? ["-i", "AKIA", "-r", "eu-central-1"] : [];
  expect(await unread("stdout", [...args, ...who])).toEqual([0, ""]);
});

test.each(names)("%s: a reader of stderr that is gone changes nothing in how it ends", async (name) => {
  const [code, stdout] = await unread("stderr", [name, "--nonsense"]);
  expect([code, stdout]).toEqual([2, ""]);
});
