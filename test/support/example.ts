import { execFile } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { SignatureV4 } from "@smithy/signature-v4";
import { type ChildKey, secretAccessKey } from "./backends.js";
import { PlainSha256 } from "./plain-sha256.js";
import { accessKeyId } from "./signer.js";

/** How a program ended. */
export interface Ended {
  code: unknown;
  stdout: string;
  stderr: string;
}

/** Runs a program of the examples, with these variables and nothing else of this process's but PATH. */
export function runExample(
  program: string,
  { args = [], env, input = "" }: { args?: string[]; env: NodeJS.ProcessEnv; input?: string },
): Promise<Ended> {
  const file = path.join(__dirname, "..", "..", "examples", program);
  const options = {
    env: { PATH: process.env.PATH, NODE_NO_WARNINGS: "1", ...env },
    ...{ timeout: 60_000, maxBuffer: 64 << 20 },
  };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [file, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? (error ? error.signal : 0), stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}

/** Where an example finds a key. */
export function keyVariables(child: ChildKey | undefined): NodeJS.ProcessEnv {
  if (!child) throw new Error("the examples open keys of devices only");
  const { reference, options, env } = child;
  const { pin, auth } = options as { pin?: string; auth?: { password?: string } };
  return {
    ...{ SIGNING_KEY: reference, ...env },
    ...(pin !== undefined && { TOKEN_PIN: pin }),
    ...(auth?.password !== undefined && { KEY_PASSWORD: auth.password }),
  };
}

/** What smithy signs for an object of my-bucket at the date of a presigned URL, with the plain secret. */
export async function signatureOf(name: string, url: URL): Promise<string | undefined> {
  const smithy = new SignatureV4({
    ...{ region: "eu-central-1", service: "s3", sha256: PlainSha256, uriEscapePath: false },
    credentials: { accessKeyId, secretAccessKey },
  });
  const hostname = "my-bucket.s3.eu-central-1.amazonaws.com";
  const [, y, mo, d, h, mi, s] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(url.searchParams.get("X-Amz-Date") ?? "") ?? [];
  const presigned = await smithy.presign(
    {
      ...{ method: "GET", protocol: "https:", hostname, query: {} },
      path: `/${encodeURIComponent(name).replaceAll("%2F", "/")}`,
      headers: { host: hostname, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" },
    },
    {
      ...{ signingDate: new Date(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`), expiresIn: 3600 },
      unhoistableHeaders: new Set(["x-amz-content-sha256"]),
      unsignableHeaders: new Set(["x-amz-content-sha256"]),
    },
  );
  return presigned.query?.["X-Amz-Signature"] as string;
}
