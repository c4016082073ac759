import { execFileSync } from "node:child_process";
import { makeProgram } from "../../lib/cli/program.js";
import { runCli } from "../support/cli.js";

/** What bash completes of a line that ends with the cursor. */
function completed(script: string, words: readonly string[]): string[] {
  const program = `${script}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
_aws_hmac; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", program], { encoding: "utf8" }).split("\n").filter(Boolean);
}

test("bash completes sub-commands and options", async () => {
  const { stdout: script, code } = await runCli(["completion", "bash"]);
  expect(code).toBe(0);
  const names = makeProgram().commands.map((command) => command.name());
  expect(completed(script, ["aws-hmac", ""])).toEqual(
    expect.arrayContaining([...names, "--help", "--version"]),
  );
  expect(completed(script, ["aws-hmac", "pres"])).toEqual(["presign"]);
  expect(completed(script, ["aws-hmac", "presign", "--ex"])).toEqual(["--expires"]);
  expect(completed(script, ["aws-hmac", "presign", "file"])).toEqual([]);
});

test.each(["zsh", "fish"])("%s gets a script that names each sub-command", async (shell) => {
  const { stdout, code } = await runCli(["completion", shell]);
  expect(code).toBe(0);
  for (const command of makeProgram().commands) expect(stdout).toContain(command.name());
});
