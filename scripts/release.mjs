// npm run release -- patch|minor|major|X.Y.Z: the version in package.json, its section in CHANGELOG.md, a commit and its tag.
// Nothing is pushed or published: the tag's workflow publishes, once somebody pushes it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { checkUnreleased, release } from "./changelog.mjs";
import { npm, program, root, run, Stop, say } from "./run.mjs";

const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8" });

await program(import.meta.url, async ([version, ...rest]) => {
  if (!version || rest.length > 0) throw new Stop("usage: npm run release -- patch|minor|major|X.Y.Z");
  if (git("status", "--porcelain") !== "") throw new Stop("there are uncommitted changes: commit them first");
  checkUnreleased();
  // The first release has the version that package.json was born with.
  await npm(["version", version, "--no-git-tag-version", "--allow-same-version"]);
  const { version: next } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  release(next);
  const message = `Release ${next}`;
  await run("git", ["commit", "--quiet", "--all", "--message", message]);
  await run("git", ["tag", "--annotate", `v${next}`, "--message", message]);
  say(`${message} is committed and tagged v${next}. To publish it: git push --follow-tags`);
});
