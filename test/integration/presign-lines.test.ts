import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { backends } from "../support/backends.js";
import { keyVariables, runExample, signatureOf } from "../support/example.js";
import { describeWith } from "../support/requirements.js";
import { accessKeyId } from "../support/signer.js";

const place = "https://my-bucket.s3.eu-central-1.amazonaws.com";
const names = Array.from({ length: 5000 }, (_, index) => `folder ä/object ${index}`);
const urls = names.map((name) => `${place}/${encodeURIComponent(name).replaceAll("%2F", "/")}`);

for (const backend of backends.filter(({ name }) => name !== "memory")) {
  describeWith(backend.needs, `examples/presign-lines.mjs with a key in ${backend.name}`, () => {
    let device: Awaited<ReturnType<typeof backend.start>>;
    let env: NodeJS.ProcessEnv;
    beforeAll(async () => {
      device = await backend.start();
      env = {
        ...keyVariables(device.child),
        ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: "eu-central-1" },
      };
    });
    afterAll(() => device?.stop());

    test.each([
      ["lines", `${urls.join("\n")}\n`],
      ["no newline at the end, and empty lines", `\n${urls.join("\n\n")}`],
      ["carriage returns", `${urls.join("\r\n")}\r\n`],
    ])("%s: each URL in its place and good, with one device call", async (_, input) => {
      const run = await runExample("presign-lines.mjs", { env, input });
      expect(run).toMatchObject({ code: 0, stderr: "device calls: 1\n" });
      const presigned = run.stdout
        .trimEnd()
        .split("\n")
        .map((url) => new URL(url));
      expect(presigned.map(({ pathname }) => decodeURIComponent(pathname.slice(1)))).toEqual(names);
      for (const index of [0, 1, 63, 64, 2500, 4999]) {
        const url = presigned[index] as URL;
        expect(url.searchParams.get("X-Amz-Signature")).toBe(await signatureOf(names[index] as string, url));
      }
    });

    test("no lines: nothing, and the device is not asked", async () => {
      expect(await runExample("presign-lines.mjs", { env })).toEqual({
        ...{ code: 0, stdout: "", stderr: "device calls: 0\n" },
      });
    });

    test("a line that is no URL ends it with its index, after those before it", async () => {
      const run = await runExample("presign-lines.mjs", {
        env,
        input: `${urls[0]}\n${urls[1]}\nno URL\n${urls[2]}\n`,
      });
      expect(run).toMatchObject({ code: 1, stderr: "item 2: url must be an absolute URL\n" });
      expect(
        run.stdout
          .trimEnd()
          .split("\n")
          .map((url) => url.split("?")[0]),
      ).toEqual(urls.slice(0, 2));
    });

    test("ends quietly when its reader has had enough", async () => {
      const program = path.join(__dirname, "..", "..", "examples", "presign-lines.mjs");
      const pipe = `yes ${place}/one | { "$NODE" "$PROGRAM"; echo "exit $?" >&2; } | head -n 3`;
      const variables = {
        PATH: process.env.PATH,
        NODE_NO_WARNINGS: "1",
        NODE: process.execPath,
        PROGRAM: program,
      };
      const options = { env: { ...variables, ...env }, timeout: 30_000 };
      const { stdout, stderr } = await promisify(execFile)("sh", ["-c", pipe], options);
      expect(stderr).toBe("exit 0\n");
      expect(stdout.trimEnd().split("\n")).toHaveLength(3);
    });
  });
}
