// npm run demo: two throwaway devices sign for a throwaway S3 and STS. Installs and builds what is missing first.
import { build } from "./build.mjs";
import { program, say } from "./run.mjs";
import { requirePackages } from "./setup.mjs";

await program(import.meta.url, async () => {
  await requirePackages(["build", "devices", "servers"]);
  await build();
  say("running the demo: examples/demo");
  await import("../examples/demo/main.mjs");
});
