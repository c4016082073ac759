// What `npm run demo` runs once everything is built; alone: node examples/demo/main.mjs
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

// The demo runs in a process of its own: while that one ends, a device may still write into its folder.
const folder = mkdtempSync(path.join(tmpdir(), "aws-hmac-demo-"));
const demo = spawn(
  process.execPath,
  ["--import", "tsx", fileURLToPath(new URL("demo.ts", import.meta.url))],
  {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env: { ...process.env, TMPDIR: folder, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    stdio: "inherit",
  },
);
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"]) process.on(signal, () => demo.kill(signal));
const [code] = await once(demo, "exit");
rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
process.exitCode = code ?? 1;
