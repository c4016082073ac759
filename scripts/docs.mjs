// npm run docs: the documentation site in build/docs, of the README, the guides and the public interface. Any warning fails it:
// a link that leads nowhere, a name without a docstring, a type that users meet and cannot look up.
import path from "node:path";
import { requireModules } from "./build.mjs";
import { program, root, run, say } from "./run.mjs";
import { requireTool } from "./tools.mjs";

// TypeDoc has a TypeScript of its own there: it does not work with the one that compiles the package.
const site = "docs/site";

await program(import.meta.url, async () => {
  await requireModules(); // the types of the AWS SDK
  const typedoc = await requireTool(site, "typedoc");
  say("making the documentation site: TypeDoc");
  await run(typedoc, ["--options", path.join(root, site, "typedoc.json")]);
});
