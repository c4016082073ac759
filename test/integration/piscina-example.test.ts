import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { type Backend, backends } from "../support/backends.js";
import { keyVariables, runExample, signatureOf } from "../support/example.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { accessKeyId } from "../support/signer.js";

const devices = backends.filter(({ name }) => name !== "memory");
for (const backend of devices) {
  describeWith(backend.needs, `examples/piscina with a key in ${backend.name}`, () => {
    test("the URLs of all names come in their order and are good; the device is asked once for all workers", async () => {
      const device = await backend.start();
      try {
        const env = {
          ...keyVariables(device.child),
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
          expect(url.searchParams.get("X-Amz-Signature")).toBe(
            await signatureOf(names[index] as string, url),
          );
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
        ...{ PATH: process.env.PATH, HOME: folder, ...keyVariables(device.child) },
        ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: "eu-central-1", S3_BUCKET: "my-bucket" },
      };
      const here = command.replaceAll(/\b(names|urls)\.txt/g, `${folder}/$1.txt`);
      const { stderr } = await promisify(execFile)("sh", ["-ec", here], { cwd: root, env, timeout: 60_000 });
      expect(stderr).toBe("device calls: 1\n".repeat(2));
      const urls = readFileSync(path.join(folder, "urls.txt"), "utf8").trimEnd().split("\n");
      expect(urls.map((url) => new URL(url).pathname.slice(1))).toEqual(names);
      const last = new URL(urls.at(-1) ?? "");
      expect(last.searchParams.get("X-Amz-Signature")).toBe(await signatureOf(names.at(-1) ?? "", last));
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
        ...keyVariables(device.child),
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
