// CHANGELOG.md at a release. `node scripts/changelog.mjs` prints the section of package.json's version: the release's notes.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parser, Release } from "keep-a-changelog";
import { program, root, Stop } from "./run.mjs";

const file = path.join(root, "CHANGELOG.md");

function read() {
  const changelog = parser(readFileSync(file, "utf8"));
  changelog.format = "markdownlint"; // as the file is written: blank lines around headings
  return changelog;
}

/** What is not released yet; throws Stop where nothing is. */
function unreleased(changelog) {
  const entries = changelog.releases.find((one) => one.version === undefined);
  if (!entries || entries.isEmpty())
    throw new Stop("CHANGELOG.md has nothing under Unreleased: what does a user see of this release?");
  return entries;
}

/** Throws Stop where there is nothing to release. */
export function checkUnreleased() {
  unreleased(read());
}

/** Gives the unreleased entries a version and a date, and begins an empty section above them. */
export function release(version) {
  const changelog = read();
  const entries = unreleased(changelog);
  if (changelog.findRelease(version)) throw new Stop(`CHANGELOG.md has a section of ${version} already`);
  entries.setVersion(version);
  entries.setDate(new Date());
  changelog.addRelease(new Release());
  writeFileSync(file, changelog.toString());
}

await program(import.meta.url, async () => {
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  const changelog = read();
  const section = changelog.findRelease(version);
  if (!section) throw new Stop(`CHANGELOG.md has no section of ${version}`);
  console.log(section.toString(changelog).split("\n").slice(1).join("\n").trim());
});
