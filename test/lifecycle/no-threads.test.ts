import { execFileSync } from "node:child_process";
import path from "node:path";

// Root has no limit on threads, so that the child becomes nobody; what it needs must be loaded by then.
const child = `
  const { execFileSync } = require("node:child_process");
  const { openTpmKey } = require(process.argv[1]);
  const open = () => openTpmKey({ tcti: "no-such-tcti", handle: 0x81008001 });
  open().catch((error) => {
    if (error.code !== "ERR_TPM_TCTI") throw error;
    if (process.getuid() === 0) process.setuid(65534);
    execFileSync("prlimit", ["--pid", String(process.pid), "--nproc=1"]);
    return open().catch(({ name, code, message }) => console.log([name, code, message].join(": ")));
  });
`;

test("a system without one more thread is told of by a coded error", () => {
  const root = path.join(__dirname, "..", "..");
  expect(execFileSync(process.execPath, ["-e", child, root], { encoding: "utf8", timeout: 30_000 })).toBe(
    "AwsHmacError: ERR_INTERNAL: no thread for the device: raise the process limit on threads\n",
  );
});
