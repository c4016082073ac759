import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { baoProgram } from "./bao.js";
import { judgedUrlSignature } from "./captured-requests.js";

const root = path.join(__dirname, "..", "..");
const secret = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

/** The code blocks of one section of a page, which ends where the next begins. */
export function blocks(page: string, heading: string, language: "js" | "python" | "sh" | "hcl"): string[] {
  const [, section = ""] = readFileSync(path.join(root, page), "utf8").split(`\n${heading}\n`);
  const text = section.split(/\n##+ /)[0] ?? "";
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].flatMap(([, found, code = ""]) =>
    found === language ? [code] : [],
  );
}

/** Where a page has its programs and the commands that use them. */
export interface Guide {
  /** Relative to the checkout. */
  page: string;
  /** The heading, with its signs, of the section with the commands. */
  heading: string;
  /** That of the section with the programs; the same by default. */
  programs?: string;
  /** Other sections whose programs the commands use, too. */
  also?: Guide[];
}

/** Does what a reader does: saves each program that has a name in its first line under that, then types the commands; gives what is printed. */
export async function follow(guide: Guide, commands: (text: string) => string): Promise<string> {
  const folder = path.join(root, "build", `guide-${process.pid}`); // in the clone: there `aws-hmac` can be imported
  mkdirSync(folder, { recursive: true });
  try {
    for (const { page, heading, programs = heading } of [guide, ...(guide.also ?? [])]) {
      const languages = ["js", "python", "hcl"] as const;
      for (const code of languages.flatMap((language) => blocks(page, programs, language))) {
        const [, name] = /^(?:\/\/|#) ([\w-]+\.(?:mjs|py|hcl)):/.exec(code) ?? [];
        if (name !== undefined) writeFileSync(path.join(folder, name), code);
      }
    }
    const script = commands(blocks(guide.page, guide.heading, "sh").join("\n"));
    return await new Promise((resolve, reject) =>
      execFile(
        "bash",
        ["-euo", "pipefail", "-c", script],
        { cwd: folder, timeout: 50_000 },
        (error, stdout) => (error ? reject(error) : resolve(stdout)),
      ),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The last line that a guide's commands print must be a rightly presigned URL, in aws4's judgement. */
export function expectRightUrl(output: string): void {
  const url = output.trim().split("\n").at(-1) ?? "";
  const signature = new URL(url).searchParams.get("X-Amz-Signature");
  expect(signature).toMatch(/^[0-9a-f]{64}$/);
  expect(signature).toBe(judgedUrlSignature(url, secret));
}

/** Commands that start a software TPM in /tmp/… at 2321, on these ports and in this folder, and end it in the end. */
export function withOwnSwtpm(text: string, folder: string, port: number): string {
  const own = text
    .replaceAll(/\/tmp\/\w+-tpm/g, path.join(folder, "tpm"))
    .replaceAll("port=2321", `port=${port}`)
    .replaceAll("port=2322", `port=${port + 1}`)
    .replace("--daemon", `--daemon --pid file=${folder}/swtpm.pid`);
  return `trap 'kill "$(cat ${folder}/swtpm.pid)"' EXIT\n${own}`;
}

/** Commands that start OpenBao in the background at 8200, on this port and with a log in this folder, and end it in the end. */
export function withOwnBao(text: string, folder: string, port: number): string {
  const own = text
    .replaceAll("127.0.0.1:8200", `127.0.0.1:${port}`)
    .replaceAll("/tmp/my-vault", `${folder}/vault`);
  return `export PATH=${path.dirname(baoProgram)}:$PATH HOME=${folder}\ntrap 'kill $(jobs -p)' EXIT\n${own}`;
}

/** Commands that use a key of AWS KMS, with this one, which the variables lead to. */
export function withOwnKms(text: string, arn: string, env: NodeJS.ProcessEnv): string {
  const variables = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`);
  return variables.join("") + text.replaceAll(/arn:aws:kms:[\w:/-]+/g, arn);
}
