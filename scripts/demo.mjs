// npm run demo: two throwaway devices sign for a throwaway S3 and STS. Installs and builds what is missing first.
import process from "node:process";
import { build } from "./build.mjs";
import { program, say } from "./run.mjs";
import { requirePackages } from "./setup.mjs";

/** 128 + the signal's number, as shells give it. */
const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

await program(import.meta.url, async () => {
  await requirePackages(["build", "devices", "servers"]);
  await build();
  say("running the demo: examples/demo");
  for (const [signal, code] of Object.entries(signals)) {
    // test/support/process.ts ends and removes what was started when this process exits
    process.once(signal, () => process.exit(code));
  }
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const { tsImport } = await import("tsx/esm/api");
  const { demo } = await tsImport("../examples/demo/demo.ts", import.meta.url);
  await demo();
});
