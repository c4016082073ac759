import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { backends } from "../support/backends.js";
import { cliEnvironment, cliProgram, keyFlags, runAtTerminal, runCli } from "../support/cli.js";
import { signatureOf } from "../support/example.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { accessKeyId } from "../support/signer.js";

const place = "https://my-bucket.s3.eu-central-1.amazonaws.com";
const who = ["--access-key-id", accessKeyId, "--region", "eu-central-1"];

for (const backend of backends.filter(({ name }) => name === "tpm" || name === "pkcs11")) {
  describeWith(backend.needs, `aws-hmac presign with a key in ${backend.name}`, () => {
    const { folder, remove } = temporaryFolder("cli");
    let device: Awaited<ReturnType<typeof backend.start>>;
    let args: string[];
    let env: NodeJS.ProcessEnv;
    beforeAll(async () => {
      device = await backend.start();
      ({ args, env } = keyFlags(device.child));
    });
    afterAll(async () => {
      await device?.stop();
      remove();
    });

    test("a URL", async () => {
      const { code, stdout, stderr } = await runCli(["presign", ...args, ...who, `${place}/one`], { env });
      expect([code, stderr]).toEqual([0, ""]);
      const url = new URL(stdout.trim());
      expect(url.searchParams.get("X-Amz-Signature")).toBe(await signatureOf("one", url));
    });

    const names = Array.from({ length: 5000 }, (_, index) => `folder ä/object ${index}`);
    const lines = names.map((name) => `${place}/${encodeURIComponent(name).replaceAll("%2F", "/")}`);
    test.each([
      ["lines", `${lines.join("\n")}\n`],
      ["no newline at the end, and empty lines", `\n${lines.join("\n\n")}`],
      ["carriage returns", `${lines.join("\r\n")}\r\n`],
    ])("%s on stdin: each URL in its place and good", async (_, input) => {
      const { code, stdout, stderr } = await runCli(["presign", "--stdin", ...args, ...who], { env, input });
      expect([code, stderr]).toEqual([0, ""]);
      const urls = stdout
        .trimEnd()
        .split("\n")
        .map((url) => new URL(url));
      expect(urls.map(({ pathname }) => decodeURIComponent(pathname.slice(1)))).toEqual(names);
      for (const index of [0, 1, 63, 64, 2500, 4999]) {
        const url = urls[index] as URL;
        expect(url.searchParams.get("X-Amz-Signature")).toBe(await signatureOf(names[index] as string, url));
      }
    });

    test("no lines on stdin: nothing", async () => {
      expect(await runCli(["presign", "--stdin", ...args, ...who], { env })).toEqual({
        ...{ code: 0, stdout: "", stderr: "" },
      });
    });

    test("settings from the profile, before which come variables and flags", async () => {
      const config = path.join(folder, "config");
      const [, reference] = args as [string, string];
      writeFileSync(
        config,
        `[profile signer]\naws_hmac_key = ${reference}\naws_hmac_access_key_id = AKIAPROFILE\nregion = us-west-2\n`,
      );
      const rest = args.slice(2);
      const variables = { ...env, AWS_CONFIG_FILE: config, AWS_PROFILE: "signer" };
      const scope = async (flags: string[], more: NodeJS.ProcessEnv = {}): Promise<string | null> => {
        const { stdout, stderr } = await runCli(["presign", ...rest, ...flags, `${place}/one`], {
          env: { ...variables, ...more },
        });
        expect(stderr).toBe("");
        return new URL(stdout.trim()).searchParams.get("X-Amz-Credential")?.replace(/\/\d{8}\//, " ") ?? null;
      };
      expect(await scope([])).toBe("AKIAPROFILE us-west-2/s3/aws4_request");
      expect(await scope([], { AWS_REGION: "eu-west-1" })).toBe("AKIAPROFILE eu-west-1/s3/aws4_request");
      expect(await scope(["-i", "AKIAFLAG"], { AWS_HMAC_ACCESS_KEY_ID: "AKIAENV" })).toBe(
        "AKIAFLAG us-west-2/s3/aws4_request",
      );
      const { stdout } = await runCli(["presign", ...rest, "--profile", "signer", `${place}/one`], {
        env: { ...env, AWS_CONFIG_FILE: config },
      });
      expect(stdout).toContain("AKIAPROFILE");
    });

    test("a reader that has had enough ends it quietly", async () => {
      const pipe = `yes ${place}/one | { "$NODE" "$PROGRAM" presign --stdin "$@"; echo "exit $?" >&2; } | head -n 3`;
      const options = {
        env: cliEnvironment({ ...env, NODE: process.execPath, PROGRAM: cliProgram }),
        timeout: 30_000,
      };
      const { stdout, stderr } = await promisify(execFile)(
        "sh",
        ["-c", pipe, "sh", ...args, ...who],
        options,
      );
      expect(stderr).toBe("exit 0\n");
      expect(stdout.trimEnd().split("\n")).toHaveLength(3);
    });

    test("says at a terminal how far it is, and leaves nothing there", async () => {
      const [file, out] = [path.join(folder, "many"), path.join(folder, "presigned")];
      writeFileSync(file, `${place}/one\n`.repeat(600_000));
      const { code, shown } = await runAtTerminal(["presign", "--stdin", ...args, ...who], [], {
        env,
        through: ["sh", "-c", '"$@" < "$0" > "$1"'.replace("$1", out), file],
      });
      expect(code).toBe(0);
      const texts = shown.split("\r\x1b[K");
      expect(texts.length).toBeGreaterThan(2);
      expect([texts.at(0), texts.at(-1)]).toEqual(["", ""]);
      for (const text of texts.slice(1, -1)) expect(text).toMatch(/^\d+ URLs$/);
    });

    test("a line that is no URL ends it, after those before it", async () => {
      const { code, stdout, stderr } = await runCli(["presign", "--stdin", ...args, ...who], {
        env,
        input: `${place}/one\nno URL\n${place}/two\n`,
      });
      expect(stdout.trimEnd().split("\n")).toHaveLength(1);
      expect([code, stderr]).toEqual([2, "aws-hmac: item 1: url must be an absolute URL [ERR_SIGN_INPUT]\n"]);
    });

    test("a secret from a file, or asked for at the terminal without echo", async () => {
      const secret = String(env.TEST_PIN ?? env.TEST_PASSWORD);
      const isPin = env.TEST_PIN !== undefined;
      const file = path.join(folder, "secret");
      writeFileSync(file, `${secret}\n`, { mode: 0o600 });
      const key = args.slice(0, 2);
      const from = isPin ? "--pin-file" : "--password-file";
      expect(await runCli(["presign", ...key, from, file, ...who, `${place}/one`], { env })).toMatchObject({
        ...{ code: 0, stderr: "" },
      });
      const asked = await runAtTerminal(
        ["presign", ...key, ...(isPin ? [] : ["--ask-password"]), ...who, `${place}/one`],
        [{ question: isPin ? "PIN of the token: " : "Password of the key: ", answer: `${secret}\r` }],
        { env: { ...env, TEST_PIN: undefined, TEST_PASSWORD: undefined } },
      );
      expect(asked).toMatchObject({ code: 0, shown: expect.stringContaining("X-Amz-Signature=") });
      expect(asked.shown).not.toContain(secret);
    });

    test("without a terminal nobody is asked: it is refused at once", async () => {
      const key = args.slice(0, 2);
      const { code, stdout, stderr } = await runCli(["presign", ...key, ...who, `${place}/one`], { env });
      expect([code, stdout]).toEqual([4, ""]);
      expect(stderr).toMatch(/\[ERR_(PIN_REQUIRED|TPM_AUTH)\]\n$/);
    });
  });
}
