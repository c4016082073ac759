import { readFileSync } from "node:fs";
import path from "node:path";
import { runCli } from "../support/cli.js";

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
