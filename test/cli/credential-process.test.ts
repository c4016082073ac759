import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { fromProcess } from "@aws-sdk/credential-providers";
import { backends, type ChildKey, type Device } from "../support/backends.js";
import { cliEnvironment, cliProgram, keyFlags, runAtTerminal, runCli } from "../support/cli.js";
import type { Answer, Received } from "../support/http.js";
import { startHttp } from "../support/http.js";
import { temporaryFolder, until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { accessKeyId, credentialsXml, end, errorXml, RoleArn } from "../support/sts.js";

const action = ({ body }: Received): string => new URLSearchParams(body).get("Action") ?? "";
const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

describeWith(["softhsm"], "aws-hmac credential-process", () => {
  const pkcs11 = backends.find(({ name }) => name === "pkcs11");
  const { folder, remove } = temporaryFolder("process");
  let device: Device;
  let sts: Awaited<ReturnType<typeof startHttp>>;
  let answer: (request: Received) => Answer | Promise<Answer>;
  let key: string[];
  let env: NodeJS.ProcessEnv;
  let cache: string;

  beforeAll(async () => {
    device = (await pkcs11?.start()) as Device;
    sts = await startHttp((request) => answer(request));
    ({ args: key, env } = keyFlags(device.child));
    env = { ...env, AWS_ENDPOINT_URL_STS: sts.endpoint, AWS_REGION: "eu-west-1" };
  });
  afterAll(async () => {
    await sts?.stop();
    await device?.stop();
    remove();
  });
  beforeEach(() => {
    sts.requests.length = 0;
    answer = (request) => credentialsXml(action(request));
    cache = path.join(folder, `cache-${readdirSync(folder).length}.json`);
  });

  const run = (args: string[] = [], more: NodeJS.ProcessEnv = {}): ReturnType<typeof runCli> =>
    runCli(["credential-process", ...key, "-i", accessKeyId, ...args], { env: { ...env, ...more } });
  const cached = (args: string[] = []): ReturnType<typeof runCli> => run(["--cache", cache, ...args]);
  const sent = (index = 0): URLSearchParams => new URLSearchParams(sts.requests[index]?.body);
  const expiration = end.toISOString().replace(".000Z", "Z");
  const credentials = {
    ...{ Version: 1, AccessKeyId: "ASIATEMPORARY", SecretAccessKey: "temporary", SessionToken: "token" },
    Expiration: expiration,
  };

  test("without a role it prints the user's own credentials, and nothing else", async () => {
    const { code, stdout, stderr } = await run();
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual(credentials);
    expect(expiration).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect([...sent().keys()].sort()).toEqual(["Action", "Version"]);
    expect(sent().get("Action")).toBe("GetSessionToken");
  });

  test("a role's, with all that a role's session can have", async () => {
    const policy = path.join(folder, "policy.json");
    writeFileSync(policy, '{ "Version": "2012-10-17",\n "Statement": [] }\n');
    const arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    const { code, stdout, stderr } = await run([
      ...["--role-arn", RoleArn, "--session-name", "me", "--duration", "900", "--external-id", "third"],
      ...["--policy-file", policy, "--policy-arn", arn, "--tag", "team=a=b", "--tag", "empty="],
      ...["--source-identity", "somebody", "--mfa-serial", "GAHT1", "--token-code", "123456"],
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual({ ...credentials, AccountId: "123456789012" });
    expect(Object.fromEntries(sent())).toEqual({
      ...{ Action: "AssumeRole", Version: "2011-06-15", RoleArn, RoleSessionName: "me" },
      ...{ DurationSeconds: "900", ExternalId: "third", Policy: '{"Version":"2012-10-17","Statement":[]}' },
      ...{ "PolicyArns.member.1.arn": arn, SerialNumber: "GAHT1", TokenCode: "123456" },
      ...{ "Tags.member.1.Key": "team", "Tags.member.1.Value": "a=b" },
      ...{ "Tags.member.2.Key": "empty", "Tags.member.2.Value": "", SourceIdentity: "somebody" },
    });
  });

  test("a chain of roles, each assumed by the one before", async () => {
    const [reader, writer] = ["reader", "writer"].map((role) => `arn:aws:iam::123456789012:role/${role}`);
    const { code, stderr } = await run([
      ...["--role-arn", `${reader}`, "--role-arn", `${writer}`, "--session-name", "me", "--duration", "900"],
      ...["--external-id", "third", "--source-identity", "somebody", "--mfa-serial", "GAHT1"],
      ...["--token-code", "123456", "--tag", "team=a"],
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    const common = { Action: "AssumeRole", Version: "2011-06-15", RoleSessionName: "me" };
    expect([0, 1].map((at) => Object.fromEntries(sent(at)))).toEqual([
      { ...common, RoleArn: reader, SerialNumber: "GAHT1", TokenCode: "123456", SourceIdentity: "somebody" },
      {
        ...{ ...common, RoleArn: writer, DurationSeconds: "900", ExternalId: "third" },
        ...{ "Tags.member.1.Key": "team", "Tags.member.1.Value": "a" },
      },
    ]);
    const [first, second] = sts.requests.map(({ headers }) => headers);
    expect(first?.authorization).toContain(`Credential=${accessKeyId}/`);
    expect(second?.authorization).toContain("Credential=ASIATEMPORARY/");
    expect(second?.["x-amz-security-token"]).toBe("token");
  });

  test("a chain and what goes with it, from the profile in the words of AWS's tools", async () => {
    const config = path.join(folder, "profile of roles");
    const lines = (role: string): string =>
      `[profile p]\n${role}mfa_serial = GAHT1\nexternal_id = third\nrole_session_name = me\nduration_seconds = 900\n`;
    writeFileSync(config, lines(`aws_hmac_role_arn = ${RoleArn}1 ${RoleArn}2\n`));
    const profile = (...args: string[]) => run(["--profile", "p", ...args], { AWS_CONFIG_FILE: config });
    expect(await profile("--token-code", "123456")).toMatchObject({ code: 0, stderr: "" });
    expect(sent(0).get("TokenCode")).toBe("123456");
    expect(Object.fromEntries(sent(1))).toEqual({
      ...{ Action: "AssumeRole", Version: "2011-06-15", RoleArn: `${RoleArn}2`, RoleSessionName: "me" },
      ...{ DurationSeconds: "900", ExternalId: "third" },
    });
    expect(await profile()).toMatchObject({ code: 5, stderr: expect.stringContaining("give --token-code") });
    // they are a role's
    writeFileSync(config, lines(""));
    expect(await profile()).toMatchObject({ code: 0, stderr: "" });
    expect([...sent(2).keys()].sort()).toEqual(["Action", "Version"]);
    writeFileSync(config, `${lines(`aws_hmac_role_arn = ${RoleArn}\n`)}duration_seconds = long\n`);
    expect(await profile("--token-code", "1")).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining("duration_seconds of the profile must be") },
    });
  });

  test("the MFA code is asked for at the terminal, and without one that is refused", async () => {
    const args = ["--mfa-serial", "arn:aws:iam::123456789012:mfa/me"];
    const asked = await runAtTerminal(
      ["credential-process", ...key, "-i", accessKeyId, ...args],
      [{ question: "Code of the MFA device arn:aws:iam::123456789012:mfa/me: ", answer: "654321\r" }],
      { env },
    );
    expect([asked.code, asked.shown]).toEqual([0, expect.stringContaining('"Version": 1')]);
    expect(sent().get("TokenCode")).toBe("654321");
    const { code, stdout, stderr } = await run(args);
    expect([code, stdout, stderr]).toEqual([5, "", expect.stringContaining("give --token-code")]);
    expect(sts.requests).toHaveLength(1);
  });

  test.each([
    [["--duration", "long"], /It must be a whole number/],
    [["--tag", "novalue"], /It must be key=value/],
    [["--external-id", "x"], /--external-id is for a role: give --role-arn too/],
    [["--token-code", "123456"], /--token-code needs --mfa-serial/],
    [["--sts-endpoint", "nowhere"], /--sts-endpoint must be a URL/],
    [
      ["--role-arn", RoleArn, "--policy-file", "/nonexistent"],
      /--policy-file \/nonexistent cannot be read as JSON/,
    ],
    [["--assumeRole"], /--assumeRole needs --aws-arn/],
    [["--assumeRole=perhaps"], /It must be true or false/],
    [["--persistentHandle", "handle"], /It must be a number such as 0x81008001/],
    [["--tpm-path", "nowhere", "--persistentHandle", "0x81008001"], /--tpm-path must be a device/],
    [["--pkcs-uri", "pkcs11:slot=0;object=key"], /add token=… or serial=…/],
  ])("%j is refused before STS is asked", async (args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(message);
    expect([code, stdout, sts.requests.length]).toEqual([2, "", 0]);
  });

  test.each([
    [403, "AccessDenied", 4],
    [403, "InvalidClientTokenId", 4],
    [400, "MalformedPolicyDocument", 1],
  ])("an STS that answers %s %s ends it, with nothing on stdout", async (status, name, ends) => {
    answer = () => errorXml(status, name);
    const { code, stdout, stderr } = await run();
    expect([code, stdout]).toEqual([ends, ""]);
    expect(stderr).toMatch(new RegExp(`^aws-hmac: STS GetSessionToken: ${name}.* \\[ERR_STS.*\\]\n$`));
  });

  test("an STS that does not answer ends it in time", async () => {
    answer = () => undefined;
    const { code, stdout, stderr } = await run(["--timeout", "500"]);
    expect([code, stdout, stderr]).toEqual([3, "", expect.stringContaining("[ERR_STS_TIMEOUT]")]);
  });

  describe("--cache", () => {
    test("of many processes one asks STS, and none later until the credentials are about to end", async () => {
      const all = await Promise.all(Array.from({ length: 8 }, () => cached()));
      for (const { code, stdout, stderr } of all) {
        expect([code, stderr, JSON.parse(stdout)]).toEqual([0, "", credentials]);
      }
      expect(sts.requests).toHaveLength(1);
      expect(statSync(cache).mode & 0o777).toBe(0o600);
      // not even the key is opened
      expect((await run(["--cache", cache, "--key", "pkcs11:token=none;object=none"])).code).toBe(0);
      expect(sts.requests).toHaveLength(1);
      expect(readdirSync(folder).filter((name) => name.startsWith(path.basename(cache)))).toEqual([
        path.basename(cache),
      ]);
    });

    test("in a folder of its own where no file is named", async () => {
      const home = path.join(folder, "home");
      mkdirSync(home);
      expect((await run(["--cache"], { HOME: home })).code).toBe(0);
      const [file] = readdirSync(path.join(home, ".cache", "aws-hmac"));
      expect(file).toMatch(/^[\da-f]{64}\.json$/);
      expect(statSync(path.join(home, ".cache", "aws-hmac")).mode & 0o777).toBe(0o700);
      expect((await run(["--cache"], { HOME: home })).code).toBe(0);
      expect(sts.requests).toHaveLength(1);
    });

    test("credentials for something else are not given out", async () => {
      await cached();
      await cached(["--role-arn", RoleArn]);
      await cached(["--role-arn", RoleArn, "--duration", "900"]);
      expect(sts.requests.map(action)).toEqual(["GetSessionToken", "AssumeRole", "AssumeRole"]);
      await cached(["--role-arn", `${RoleArn}0`, "--role-arn", RoleArn, "--duration", "900"]);
      expect(sts.requests).toHaveLength(5);
    });

    test("those that are about to end are replaced, and still given out when that fails", async () => {
      answer = (request) => credentialsXml(action(request), inSeconds(60));
      await cached();
      const entry = JSON.parse(readFileSync(cache, "utf8"));
      const age = (from: number, until: number): void =>
        writeFileSync(
          cache,
          JSON.stringify({
            ...{ for: entry.for, from: inSeconds(from) },
            credentials: { ...entry.credentials, SecretAccessKey: "aged", Expiration: inSeconds(until) },
          }),
        );
      const secretOf = ({ stdout }: { stdout: string }): string => JSON.parse(stdout).SecretAccessKey;
      age(-3_000, 1_000);
      expect(secretOf(await cached())).toBe("aged"); // 16 minutes are left
      age(-3_000, 800);
      expect(secretOf(await cached())).toBe("temporary"); // 13 were
      age(-3_000, 800);
      answer = () => errorXml(403, "AccessDenied");
      const kept = await cached();
      expect([secretOf(kept), kept.code]).toEqual(["aged", 0]);
      expect(kept.stderr).toMatch(
        /^aws-hmac: the cached credentials stay in use: STS GetSessionToken: AccessDenied/,
      );
      age(-3_600, -1);
      expect((await cached()).code).toBe(4);
      age(3_600, 7_200); // of a clock that was set back since
      expect((await cached()).code).toBe(4);
      expect(sts.requests).toHaveLength(5);
    });

    test.each(["", "{", "null", "[]", '{"for":1}', '{"credentials":7}'])(
      "a file with %j in it is replaced",
      async (text) => {
        writeFileSync(cache, text, { mode: 0o600 });
        expect(await cached()).toMatchObject({ code: 0, stderr: "" });
        expect(JSON.parse(readFileSync(cache, "utf8")).credentials).toEqual(credentials);
      },
    );

    test("a file that others may read, or no file, is refused", async () => {
      await cached();
      chmodSync(cache, 0o640);
      const { code, stdout, stderr } = await cached();
      expect([code, stdout, stderr]).toEqual([2, "", expect.stringContaining("closed to others")]);
      expect((await run(["--cache", folder])).code).toBe(2);
      expect((await run(["--cache", path.join(cache, "file")])).stderr).toMatch(/cannot be/);
      expect(sts.requests).toHaveLength(1);
    });

    test("a process that was killed while it had the lock holds nobody up", async () => {
      answer = () => undefined;
      const args = [cliProgram, "credential-process", ...key, "-i", accessKeyId, "--cache", cache];
      const child = spawn(process.execPath, args, { env: cliEnvironment(env), stdio: "ignore" });
      await until("the first process asks STS", () => sts.requests.length === 1);
      answer = (request) => credentialsXml(action(request));
      const waiting = Array.from({ length: 4 }, () => cached());
      child.kill("SIGKILL");
      for (const { code, stderr } of await Promise.all(waiting)) expect([code, stderr]).toEqual([0, ""]);
      expect(sts.requests).toHaveLength(2);
    });

    test("who waits too long for another process says so", async () => {
      writeFileSync(`${cache}.lock`, `${process.pid} x ${hostname()}\n`);
      const { code, stderr } = await cached(["--timeout", "300"]);
      expect([code, stderr]).toEqual([3, expect.stringContaining(`is not done (${cache}.lock)`)]);
      expect(sts.requests).toHaveLength(0);
    });
  });

  describe("the flags of aws-pkcs-process-credential", () => {
    /** As its README has them: the token by its place in a list as well, a hexadecimal id, the PIN. */
    const peerUri = async (): Promise<string> => {
      const uri = device.child?.reference as string;
      const hex = (_: string, id: string): string => `id=${id.replaceAll("%", "")}`;
      const pin = (device.child as ChildKey).options.pin;
      return `${uri.replace("pkcs11:", "pkcs11:slot=0;").replace(/id=((?:%..)+)/, hex)}&pin-value=${pin}`;
    };
    const flags = async (): Promise<string[]> => [
      ...["--aws-region=us-east-1", "--aws-session-name=mysession", `--pkcs-uri=${await peerUri()}`],
      ...["--aws-access-key-id=AKIAPEER", "--duration=3600"],
    ];
    const warning = /^aws-hmac: the PIN in --pkcs-uri is seen by everybody .*\n$/;

    test("a session token, though a role is named", async () => {
      expect(await peerUri()).toMatch(/slot=0;.*id=[\da-f]{32}.*module-path=/);
      const args = ["credential-process", ...(await flags()), `--aws-arn=${RoleArn}`, "--assumeRole=false"];
      const { code, stdout, stderr } = await runCli(args, { env });
      expect([code, stderr]).toEqual([0, expect.stringMatching(warning)]);
      expect(JSON.parse(stdout)).toMatchObject({ AccessKeyId: "ASIATEMPORARY" });
      expect(Object.fromEntries(sent())).toMatchObject({
        Action: "GetSessionToken",
        DurationSeconds: "3600",
      });
      expect(sts.requests[0]?.headers.authorization).toMatch(/Credential=AKIAPEER\/\d{8}\/us-east-1\/sts\//);
    });

    test("a role, by the peer's own name, with Go's spellings", async () => {
      const link = path.join(folder, "aws-pkcs-process-credential");
      symlinkSync(cliProgram, link);
      const profile = (await flags()).flatMap((flag) =>
        flag
          .slice(1)
          .replace(/^(-duration)=/, "$1 ")
          .split(" "),
      );
      const quoted = profile.map((flag) => `'${flag}'`);
      const variables = Object.entries(cliEnvironment(env)).map(
        ([name, value]) => `${name}='${value ?? ""}'`,
      );
      const line = [
        "env",
        ...variables,
        process.execPath,
        link,
        ...quoted,
        `-aws-arn="${RoleArn}"`,
        "-assumeRole",
      ];
      const config = path.join(folder, "config");
      writeFileSync(config, `[profile peer]\ncredential_process = ${line.join(" ")}\n`);
      const provider = fromProcess({ profile: "peer", configFilepath: config, filepath: "/nonexistent" });
      expect(await provider()).toMatchObject({
        ...{ accessKeyId: "ASIATEMPORARY", secretAccessKey: "temporary", sessionToken: "token" },
        ...{ accountId: "123456789012", expiration: new Date(expiration) },
      });
      expect(Object.fromEntries(sent())).toMatchObject({
        ...{ Action: "AssumeRole", RoleArn, RoleSessionName: "mysession", DurationSeconds: "3600" },
      });
    });
  });
});
