import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { backends, type Device } from "../support/backends.js";
import { keyFlags, runAtTerminal, runCli } from "../support/cli.js";
import type { Ended } from "../support/example.js";
import { type Received, startHttp } from "../support/http.js";
import { listens } from "../support/ports.js";
import { temporaryFolder, until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { startCli } from "../support/serving.js";
import { accessKeyId, credentialsXml, errorXml } from "../support/sts.js";

const action = ({ body }: Received): string => new URLSearchParams(body).get("Action") ?? "";

describeWith(["softhsm"], "aws-hmac exec", () => {
  const pkcs11 = backends.find(({ name }) => name === "pkcs11");
  const { folder, remove } = temporaryFolder("exec");
  let device: Device;
  let sts: Awaited<ReturnType<typeof startHttp>>;
  let who: string[];
  let env: NodeJS.ProcessEnv;
  let isDown = false;
  let life: number;

  beforeAll(async () => {
    device = (await pkcs11?.start()) as Device;
    sts = await startHttp((request) =>
      isDown
        ? errorXml(503, "ServiceUnavailable")
        : credentialsXml(action(request), new Date(Date.now() + life).toISOString()),
    );
    const flags = keyFlags(device.child);
    who = [...flags.args, "-i", accessKeyId];
    env = { ...flags.env, AWS_ENDPOINT_URL_STS: sts.endpoint, AWS_REGION: "eu-west-1" };
  });
  afterAll(async () => {
    await sts?.stop();
    await device?.stop();
    remove();
  });
  beforeEach(() => {
    isDown = false;
    life = 3_600_000;
    sts.requests.length = 0;
  });

  const exec = (command: string[], more: NodeJS.ProcessEnv = {}, input?: string): Promise<Ended> =>
    runCli(["exec", ...who, "--", ...command], {
      env: { ...env, ...more },
      ...(input !== undefined && { input }),
    });
  const node = (code: string): string[] => [process.execPath, "-e", code];
  const ask = `fetch(process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI, {
    headers: { authorization: process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN } }).then((answer) => answer.json())`;

  test("the command gets credentials, as long as it runs", async () => {
    const print = `.then((got) => console.log(JSON.stringify([process.pid, process.env.AWS_CONTAINER_CREDENTIALS_FULL_URI, got])))`;
    const { code, stdout, stderr } = await exec(node(ask + print));
    expect([code, stderr]).toEqual([0, ""]);
    const [pid, uri, got] = JSON.parse(stdout);
    expect(got).toMatchObject({ AccessKeyId: "ASIATEMPORARY", SecretAccessKey: "temporary", Token: "token" });
    expect(await listens(Number(new URL(uri).port))).toBe(false);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(sts.requests).toHaveLength(1);
  });

  test("nothing that SDKs would take first is in its environment, nor a secret of ours", async () => {
    const others = {
      ...{ AWS_ACCESS_KEY_ID: "AKIAOTHER", AWS_SECRET_ACCESS_KEY: "other", AWS_SESSION_TOKEN: "other" },
      ...{ AWS_PROFILE: "other", AWS_DEFAULT_PROFILE: "other", AWS_ROLE_ARN: "other" },
      ...{ AWS_WEB_IDENTITY_TOKEN_FILE: "/other", AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/other" },
      ...{ AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: "/other", AWS_HMAC_KEY: "other", UNTOUCHED: "a=b\n c" },
    };
    const { stdout } = await exec(node("console.log(JSON.stringify(process.env))"), others);
    const given: Record<string, string> = JSON.parse(stdout);
    expect(
      Object.keys(given)
        .filter((name) => name.startsWith("AWS_"))
        .sort(),
    ).toEqual([
      ...["AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_DEFAULT_REGION"],
      ...["AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL_STS", "AWS_REGION"],
    ]);
    expect(given).toMatchObject({
      UNTOUCHED: "a=b\n c",
      AWS_REGION: "eu-west-1",
      AWS_DEFAULT_REGION: "eu-west-1",
    });
    expect(Object.values(given)).not.toContain(env.TEST_PIN);
  });

  test("a file whose default profile has credentials is hidden, and only that", async () => {
    const [config, credentials] = ["config", "credentials"].map((name) => path.join(folder, name)) as [
      string,
      string,
    ];
    writeFileSync(
      config,
      "[default]\nregion = eu-central-1\n[profile other]\naws_access_key_id = AKIAOTHER\n",
    );
    writeFileSync(credentials, "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n");
    const files = { AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: credentials };
    const print = node("console.log(process.env.AWS_CONFIG_FILE, process.env.AWS_SHARED_CREDENTIALS_FILE)");
    expect(await exec(print, files)).toEqual({
      ...{ code: 0, stdout: `${config} /dev/null\n` },
      stderr: `aws-hmac: the command does not see ${credentials}: its default profile has credentials, which would be taken first\n`,
    });
    writeFileSync(config, "[default]\ncredential_process = other\n");
    writeFileSync(credentials, "");
    expect((await exec(print, files)).stdout).toBe(`/dev/null ${credentials}\n`);
  });

  test("input and output are the command's", async () => {
    const input = `${"x".repeat(300_000)}\u0000ä`;
    expect(await exec(["cat"], {}, input)).toEqual({ code: 0, stdout: input, stderr: "" });
    const both = await exec(["sh", "-c", "echo out; echo err >&2"]);
    expect(both).toEqual({ code: 0, stdout: "out\n", stderr: "err\n" });
  });

  test("what comes behind the command is its own, with -- and without", async () => {
    expect((await exec(["printf", "%s,", "--key", "-h", "--", "a b"])).stdout).toBe("--key,-h,--,a b,");
    const { stdout } = await runCli(["exec", ...who, "printf", "%s,", "--key", "--help"], { env });
    expect(stdout).toBe("--key,--help,");
  });

  test.each([
    [["sh", "-c", "exit 7"], 7, /^$/],
    [["sh", "-c", "kill -9 $$"], 137, /^$/],
    [["sh", "-c", "kill -TERM $$"], 143, /^$/],
    [["no-such-command-anywhere"], 127, /^aws-hmac: no-such-command-anywhere: there is no such command\n$/],
    [["/etc/passwd"], 126, /^aws-hmac: \/etc\/passwd: cannot be run \(EACCES\)\n$/],
    [["/"], 126, /^aws-hmac: \/: cannot be run \(EACCES\)\n$/],
  ])("%j ends with %i", async (command, ends, message) => {
    const { code, stdout, stderr } = await exec(command);
    expect([code, stdout]).toEqual([ends, ""]);
    expect(stderr).toMatch(message);
  });

  const listener = `
    const stay = setInterval(() => undefined, 1000);
    for (const signal of ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR2"]) {
      process.on(signal, () => { console.log(signal); clearInterval(stay); process.exitCode = 9; });
    }
    console.log("ready");`;

  test.each(["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR2"] as const)(
    "%s is passed on",
    async (signal) => {
      const running = startCli(["exec", ...who, "--", ...node(listener)], { env });
      await until("the command", () => running.stdout().includes("ready"));
      expect(await running.end(signal)).toBe(9);
      expect(running.stdout()).toBe(`ready\n${signal}\n`);
    },
  );

  test("a command that does not listen is ended by the signal", async () => {
    const running = startCli(["exec", ...who, "--", "sh", "-c", "echo ready; exec cat"], { env });
    await until("the command", () => running.stdout().includes("ready"));
    expect(await running.end("SIGTERM")).toBe(143);
  });

  test("Ctrl-C at a terminal reaches the command once", async () => {
    // what aws-hmac passes on comes in order: another SIGINT would be there before SIGUSR2
    const counter = `
      const stay = setInterval(() => undefined, 1000);
      let count = 0;
      process.on("SIGINT", () => { count++; process.kill(process.ppid, "SIGUSR2"); });
      process.on("SIGUSR2", () => { console.log("in all", count); process.exit(4); });
      console.log("ready");`;
    const { code, shown } = await runAtTerminal(
      ["exec", ...who, "--", ...node(counter)],
      [{ question: "ready", answer: "\x03" }],
      { env },
    );
    expect(shown).toContain("in all 1");
    expect(code).toBe(4);
  });

  test("the MFA code is asked for before the command has the terminal", async () => {
    const { code, shown } = await runAtTerminal(
      [
        "exec",
        ...who,
        "--mfa-serial",
        "GAHT1",
        "--",
        ...node(`${ask}.then((got) => console.log(got.AccessKeyId))`),
      ],
      [{ question: "Code of the MFA device GAHT1: ", answer: "123456\r" }],
      { env },
    );
    expect([code, shown]).toEqual([0, expect.stringContaining("ASIATEMPORARY")]);
    expect(new URLSearchParams(sts.requests[0]?.body).get("TokenCode")).toBe("123456");
  });

  test("once they have ended, nobody asks for a new code in the middle of the command", async () => {
    life = 2_000;
    const { code, shown } = await runAtTerminal(
      [
        ...["exec", ...who, "--mfa-serial", "GAHT1", "--"],
        ...node(`const next = () => ${ask}.then((got) => (got.Code ? console.log(JSON.stringify(got)) : setTimeout(next, 50)));
          next();`),
      ],
      [{ question: "Code of the MFA device GAHT1: ", answer: "123456\r" }],
      { env },
    );
    expect([code, shown]).toEqual([0, expect.stringContaining('{"Code":"ERR_MFA_CODE"')]);
    expect(shown.match(/Code of the MFA device/g)).toHaveLength(1);
    expect(sts.requests).toHaveLength(1);
  });

  test("without credentials the command does not run", async () => {
    isDown = true;
    const { code, stdout, stderr } = await exec(["echo", "ran"]);
    expect([code, stdout, stderr]).toEqual([3, "", expect.stringContaining("[ERR_STS]")]);
    const none = await runCli(["exec", ...who], { env });
    expect([none.code, none.stderr]).toEqual([
      2,
      expect.stringContaining("missing required argument 'command'"),
    ]);
  });
});
