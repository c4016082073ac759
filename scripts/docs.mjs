// npm run docs: the documentation site in build/docs, of the README, the guides and the public interface. Any warning fails it:
// a link that leads nowhere, a name without a docstring, a type that users meet and cannot look up.
import { statSync } from "node:fs";
import path from "node:path";
import { requireModules } from "./build.mjs";
import { npm, program, root, run, say } from "./run.mjs";

// TypeDoc has a TypeScript of its own there: it does not work with the one that compiles the package.
const site = path.join(root, "docs", "site");

const modified = (file) => statSync(path.join(site, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;

await program(import.meta.url, async () => {
  await requireModules(); // the types of the AWS SDK
  if (modified("node_modules/.package-lock.json") < modified("package-lock.json")) {
    say("installing TypeDoc: npm ci in docs/site");
    await npm(["ci", "--no-audit", "--no-fund"], { cwd: site, stdio: ["ignore", "inherit", "inherit"] });
  }
  say("making the documentation site: TypeDoc");
  const typedoc = path.join(site, "node_modules", "typedoc", "bin", "typedoc");
  await run(process.execPath, [typedoc, "--options", path.join(site, "typedoc.json")]);
});
