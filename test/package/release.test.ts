// What `npm run release` makes of the project: in a repository of its own, pushed nowhere.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { temporaryFolder } from "../support/process.js";

const checkout = path.join(__dirname, "..", "..");
const { folder, remove } = temporaryFolder("release");
afterAll(remove);

const env = {
  ...process.env,
  ...{ GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
  ...{ GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@example.com" },
  ...{ GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@example.com" },
};
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { cwd: folder, encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] });
const read = (file: string): string => readFileSync(path.join(folder, file), "utf8");
const write = (file: string, text: string): void => writeFileSync(path.join(folder, file), text);
const release = (...args: string[]): { status: number | null; stderr: string } =>
  spawnSync("npm", ["run", "release", "--", ...args], { cwd: folder, encoding: "utf8", env });

beforeAll(() => {
  for (const name of ["package.json", "package-lock.json", "CHANGELOG.md", "scripts"])
    cpSync(path.join(checkout, name), path.join(folder, name), { recursive: true });
  symlinkSync(path.join(checkout, "node_modules"), path.join(folder, "node_modules"));
  write(".gitignore", "node_modules\n");
  run("git", "init", "--quiet");
  run("git", "add", ".");
  run("git", "commit", "--quiet", "--message", "All");
});

const entries = (changelog: string): string => changelog.replaceAll(/^## .*\n\n/gm, "");

test("one command: version, section of the changelog, commit, tag", () => {
  const before = read("CHANGELOG.md");
  const { version: old } = JSON.parse(read("package.json")) as { version: string };
  const [major, minor] = old.split(".");
  const version = `${major}.${Number(minor) + 1}.0`;
  expect(release("minor")).toMatchObject({ status: 0 });
  for (const file of ["package.json", "package-lock.json"])
    expect(JSON.parse(read(file))).toMatchObject({ version });
  const after = read("CHANGELOG.md");
  const today = new Date().toISOString().slice(0, 10);
  expect(after).toMatch(new RegExp(`^## Unreleased\\n\\n## ${version} - ${today}\\n\\n### `, "m"));
  // The rest is as it was written, to the byte.
  expect(entries(after)).toBe(entries(before));
  expect(run("git", "log", "-1", "--format=%s %D")).toMatch(`Release ${version} HEAD -> `);
  expect(run("git", "tag", "--points-at", "HEAD").trim()).toBe(`v${version}`);
  expect(run("git", "status", "--porcelain")).toBe("");
  expect(before).toContain(run("node", "scripts/changelog.mjs").trim());
});

test("nothing unreleased: no release", () => {
  const commit = run("git", "rev-parse", "HEAD");
  expect(release("patch")).toMatchObject({ stderr: expect.stringContaining("nothing under Unreleased") });
  expect(run("git", "rev-parse", "HEAD")).toBe(commit);
  expect(run("git", "status", "--porcelain")).toBe("");
});

test("uncommitted changes: no release", () => {
  write("CHANGELOG.md", `${read("CHANGELOG.md")}\n`);
  expect(release("patch")).toMatchObject({ stderr: expect.stringContaining("uncommitted changes") });
});
