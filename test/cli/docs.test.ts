// docs/cli.md shows what --help prints. After a change: UPDATE_DOCS=1 npx jest test/cli/docs
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { exitCodes } from "../../lib/cli/failure.js";
import { makeProgram } from "../../lib/cli/program.js";
import { runCli } from "../support/cli.js";

const page = path.join(__dirname, "..", "..", "docs", "cli.md");
const names = makeProgram().commands.map((command) => command.name());

/** The part of the page that help texts make: a section for each sub-command. */
async function sections(): Promise<string> {
  const texts = await Promise.all(
    names.map(async (name) => {
      const { code, stdout, stderr } = await runCli([name, "--help"]);
      expect([code, stderr]).toEqual([0, ""]);
      return `## aws-hmac ${name}\n\n\`\`\`\n${stdout.trimEnd()}\n\`\`\`\n`;
    }),
  );
  return texts.join("\n");
}

test("the page has each sub-command's help as it is printed", async () => {
  const [begin, end] = ["<!-- made by test/cli/docs.test.ts -->\n\n", "\n<!-- end -->"];
  const text = readFileSync(page, "utf8");
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  expect([from > begin.length, to > from]).toEqual([true, true]);
  const made = await sections();
  if (process.env.UPDATE_DOCS) writeFileSync(page, text.slice(0, from) + made + text.slice(to));
  expect(readFileSync(page, "utf8").slice(from)).toBe(made + text.slice(to));
});

test("every sub-command shows an example, and the program lists them all", async () => {
  const { stdout } = await runCli(["--help"]);
  for (const name of names) {
    expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
    expect((await runCli([name, "--help"])).stdout).toContain("Examples:\n  ");
  }
});

test("the page has every exit code", () => {
  const rows = [...readFileSync(page, "utf8").matchAll(/^\| (\d) \| (.+) \|$/gm)].map(([, code]) =>
    Number(code),
  );
  expect(rows).toEqual(Object.values(exitCodes));
});
