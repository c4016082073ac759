import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { judgedUrlSignature } from "../support/captured-requests.js";
import { freePorts } from "../support/ports.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";

const root = path.join(__dirname, "..", "..");
const readme = readFileSync(path.join(root, "README.md"), "utf8");
const secret = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

/** The code blocks of one section. */
function blocks(heading: string, language: "js" | "sh"): string[] {
  const [, section = ""] = readme.split(`\n### ${heading}\n`);
  const text = section.split(/\n##+ /)[0] ?? "";
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].flatMap(([, found, code = ""]) =>
    found === language ? [code] : [],
  );
}

/** Does what a reader does: saves each program under the name in its first line, then types the commands. */
async function follow(heading: string, commands: (text: string) => string): Promise<string> {
  const folder = path.join(root, "build", `readme-${process.pid}`); // in the clone: there `aws-hmac` can be imported
  mkdirSync(folder, { recursive: true });
  try {
    for (const code of blocks(heading, "js")) {
      const [, name = ""] = /^\/\/ ([\w-]+\.mjs):/.exec(code) ?? [];
      writeFileSync(path.join(folder, name), code);
    }
    const script = commands(blocks(heading, "sh").join("\n"));
    return await new Promise((resolve, reject) =>
      execFile(
        "bash",
        ["-euo", "pipefail", "-c", script],
        { cwd: folder, timeout: 20_000 },
        (error, stdout) => (error ? reject(error) : resolve(stdout)),
      ),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function expectRightUrl(output: string): void {
  const url = output.trim().split("\n").at(-1) ?? "";
  const signature = new URL(url).searchParams.get("X-Amz-Signature");
  expect(signature).toMatch(/^[0-9a-f]{64}$/);
  expect(signature).toBe(judgedUrlSignature(url, secret));
}

describe("who follows the README gets a right signature", () => {
  const { folder, remove } = temporaryFolder("readme");
  afterAll(remove);

  describeWith(["swtpm"], "TPM", () => {
    test("as written, but for the ports and folders", async () => {
      const port = await freePorts(2);
      const output = await follow("With a TPM 2.0", (text) => {
        const own = text
          .replaceAll("/tmp/my-tpm", path.join(folder, "tpm"))
          .replaceAll("port=2321", `port=${port}`)
          .replaceAll("port=2322", `port=${port + 1}`)
          .replace("--daemon", `--daemon --pid file=${folder}/swtpm.pid`);
        return `trap 'kill "$(cat ${folder}/swtpm.pid)"' EXIT\n${own}`;
      });
      expectRightUrl(output);
    }, 30_000);
  });

  describeWith(["softhsm"], "PKCS#11", () => {
    test("as written, but for the folders", async () => {
      const output = await follow("With a PKCS#11 token", (text) =>
        text.replaceAll("/tmp/my-hsm", path.join(folder, "hsm")),
      );
      expectRightUrl(output);
    }, 30_000);
  });

  test("memory", async () => {
    expectRightUrl(await follow("With no device", () => "node memory-sign.mjs"));
  });
});
