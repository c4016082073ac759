import { execFile } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { addon } from "../../binding/addon.js";
import { type Finding, failure, ok, problem } from "./finding.js";

/** Libraries that the addon brings into the process. */
const library = /\/(lib(?:tss2-esys|p11-kit))\.so[\d.]*$/;

/** Node, the addon, and what it is linked with. */
export async function software(): Promise<Finding[]> {
  const found = [node()];
  try {
    addon();
  } catch (error) {
    return [...found, failure("native addon", error)];
  }
  found.push(ok("native addon", `loaded, for ${process.platform} ${process.arch}`));
  const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
  const files = new Set(
    maps.map((line) => line.slice(line.indexOf("/"))).filter((file) => library.test(file)),
  );
  for (const file of files) {
    found.push(ok(library.exec(file)?.[1] ?? file, `${await packaged(file)}, ${file}`));
  }
  return found;
}

function node(): Finding {
  const manifest = path.join(__dirname, "..", "..", "..", "package.json");
  const { engines } = JSON.parse(readFileSync(manifest, "utf8")) as { engines: { node: string } };
  const [wanted = 0, wantedMinor = 0] = (/[\d.]+/.exec(engines.node)?.[0] ?? "").split(".").map(Number);
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const versions = `${process.version}, with OpenSSL ${process.versions.openssl}`;
  if (major > wanted || (major === wanted && minor >= wantedMinor)) return ok("Node", versions);
  return problem("Node", versions, `install Node ${engines.node}`);
}

/** The version of the package that a library is of, where Debian's tools know; else that of the file. */
async function packaged(file: string): Promise<string> {
  const real = realpathSync(file);
  try {
    const run = promisify(execFile);
    const { stdout } = await run("dpkg-query", ["--search", real], { timeout: 5_000 });
    const [name = ""] = stdout.split(": ");
    return (await run("dpkg-query", ["--show", "--showformat", "$" + "{Version}", name], { timeout: 5_000 }))
      .stdout;
  } catch {
    return path.basename(real).replace(/^.*\.so\.?/, "version ");
  }
}
