import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { SignatureV4 } from "@smithy/signature-v4";
import { type Backend, backends, secretAccessKey } from "../support/backends.js";
import { runExample } from "../support/example.js";
import { PlainSha256 } from "../support/plain-sha256.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { accessKeyId } from "../support/signer.js";

/** Where the example finds the key. */
function variables(child: object): NodeJS.ProcessEnv {
  const { tpm, pkcs11 } = child as {
    tpm?: { tcti: string; handle: number; auth: { password: string } };
    pkcs11?: { module: string; tokenLabel: string; label: string; pin: string };
  };
  if (tpm) {
    const tcti = encodeURIComponent(tpm.tcti);
    return { SIGNING_KEY: `tpm:0x${tpm.handle.toString(16)}?tcti=${tcti}`, KEY_PASSWORD: tpm.auth.password };
  }
  const { module, tokenLabel, label, pin = "" } = pkcs11 ?? {};
  const { SOFTHSM2_CONF } = process.env;
  const SIGNING_KEY = `pkcs11:token=${encodeURIComponent(tokenLabel ?? "")};object=${label}?module-path=${module}`;
  return { SOFTHSM2_CONF, SIGNING_KEY, TOKEN_PIN: pin };
}

/** What smithy makes of a presigned URL's name and date, with the plain secret. */
async function judged(name: string, url: URL): Promise<string | undefined> {
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

const devices = backends.filter(({ name }) => name !== "memory");
for (const backend of devices) {
  describeWith(backend.needs, `examples/piscina with a key in ${backend.name}`, () => {
    test("the URLs of all names come in their order and are good; the device is asked once for all workers", async () => {
      const device = await backend.start();
      try {
        const env = {
          ...variables(device.child),
          ...{
            AWS_ACCESS_KEY_ID: accessKeyId,
            AWS_REGION: "eu-central-1",
            S3_BUCKET: "my-bucket",
            THREADS: "2",
          },
        };
        const names = Array.from({ length: 9001 }, (_, index) => `folder ä/object ${index}`);
        const run = await runExample("piscina/main.mjs", { env, input: names.join("\n") });
        expect(run).toMatchObject({ code: 0, stderr: "device calls: 1\n" });
        const urls = run.stdout
          .trimEnd()
          .split("\n")
          .map((url) => new URL(url));
        expect(urls.map(({ pathname }) => decodeURIComponent(pathname.slice(1)))).toEqual(names);
        for (const index of [0, 1, 1999, 2000, 4500, 9000]) {
          const url = urls[index] as URL;
          expect(url.searchParams.get("X-Amz-Signature")).toBe(await judged(names[index] as string, url));
        }
      } finally {
        await device.stop();
      }
    }, 90_000);
  });
}

const hsm = devices.find(({ name }) => name === "pkcs11") as Backend;
describeWith([...hsm.needs, "parallel"], "docs/batch.md", () => {
  test("GNU parallel signs all lines in their order, by several processes", async () => {
    const root = path.join(__dirname, "..", "..");
    const [, command = ""] =
      /```sh\n(parallel [^`]*names\.txt[^`]*)```/.exec(
        readFileSync(path.join(root, "docs", "batch.md"), "utf8"),
      ) ?? [];
    expect(command).toContain("examples/piscina/main.mjs");
    const { folder, remove } = temporaryFolder("batch");
    const device = await hsm.start();
    try {
      const names = Array.from({ length: 60_000 }, (_, index) => `folder/object-${index}`);
      writeFileSync(path.join(folder, "names.txt"), `${names.join("\n")}\n`);
      const env = {
        ...{ PATH: process.env.PATH, HOME: folder, ...variables(device.child) },
        ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: "eu-central-1", S3_BUCKET: "my-bucket" },
      };
      const here = command.replaceAll(/\b(names|urls)\.txt/g, `${folder}/$1.txt`);
      const { stderr } = await promisify(execFile)("sh", ["-ec", here], { cwd: root, env, timeout: 60_000 });
      expect(stderr).toBe("device calls: 1\n".repeat(2));
      const urls = readFileSync(path.join(folder, "urls.txt"), "utf8").trimEnd().split("\n");
      expect(urls.map((url) => new URL(url).pathname.slice(1))).toEqual(names);
      const last = new URL(urls.at(-1) ?? "");
      expect(last.searchParams.get("X-Amz-Signature")).toBe(await judged(names.at(-1) ?? "", last));
    } finally {
      await device.stop();
      remove();
    }
  }, 90_000);
});

const [some] = devices as [Backend];
describeWith(some.needs, "examples/piscina without the right key", () => {
  test("ends with the device's error, and hangs nowhere", async () => {
    const device = await some.start();
    try {
      const env = {
        ...variables(device.child),
        ...{ KEY_PASSWORD: "wrong", TOKEN_PIN: "wrong" },
        ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: "eu-central-1", S3_BUCKET: "my-bucket" },
      };
      const run = await runExample("piscina/main.mjs", { env, input: "name\n".repeat(30_000) });
      expect(run).toMatchObject({ code: 1, stdout: "" });
      expect(run.stderr).toMatch(/^the password is wrong; .*\n$/);
    } finally {
      await device.stop();
    }
  }, 90_000);
});
