import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, openSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import aws4 from "aws4";
import { backends } from "../support/backends.js";
import { cliEnvironment, cliProgram, keyFlags, runCli } from "../support/cli.js";
import type { Ended } from "../support/example.js";
import { type Answer, startHttp } from "../support/http.js";
import { runTool, temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { type Gateway, startGateway } from "../support/rgw.js";
import { credentialsXml, RoleArn, secret } from "../support/sts.js";

const { folder, remove } = temporaryFolder("cli-sign");
afterAll(remove);
const devices = backends.filter(({ name }) => name === "tpm" || name === "pkcs11");

const file = (name: string, content: string | Uint8Array): string => {
  const whole = path.join(folder, name);
  writeFileSync(whole, content);
  return whole;
};
/** `Name: value` lines as an object. */
const parsed = (lines: string): Record<string, string> =>
  Object.fromEntries(
    lines
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
  );

describeWith(["ceph"], "aws-hmac sign, judged by the Ceph gateway", () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway();
  }, 120_000);
  afterAll(() => gateway?.stop());

  for (const backend of devices) {
    describeWith(backend.needs, `with a key in ${backend.name}`, () => {
      let device: Awaited<ReturnType<typeof backend.start>>;
      let args: string[];
      let env: NodeJS.ProcessEnv;
      let bucket: string;
      beforeAll(async () => {
        device = await backend.start(gateway.secretAccessKey);
        ({ args, env } = keyFlags(device.child));
        args = [...args, "-i", gateway.accessKeyId, "-r", "eu-central-1"];
        bucket = `${gateway.endpoint}/sign-${backend.name}`;
        expect(await sign("--send", "--fail", "-X", "PUT", bucket)).toMatchObject({ code: 0, stderr: "" });
      }, 60_000);
      afterAll(() => device?.stop());

      const sign = (...more: string[]): Promise<Ended> => runCli(["sign", ...args, ...more], { env });
      const headersOf = async (...more: string[]): Promise<string> => {
        const { code, stdout, stderr } = await sign(...more);
        expect([code, stderr]).toEqual([0, ""]);
        return stdout;
      };

      test("the headers, sent by curl: a file put, read and removed", async () => {
        const content = file("content", randomBytes(100_000));
        const url = `${bucket}/a%20folder/${backend.name}+%C3%BC(1)~.txt`;
        const curl = async (lines: string, ...more: string[]): Promise<string> =>
          runTool("curl", ["-sS", "--fail", "-H", `@${file("headers", lines)}`, ...more, url], {});
        await curl(await headersOf("-T", content, "-H", "x-amz-meta-of: a  b", url), "-T", content);
        const got = path.join(folder, "got");
        await curl(await headersOf(url), "-o", got);
        await runTool("cmp", [content, got]);
        expect(await curl(await headersOf("-X", "HEAD", url), "--head")).toContain("x-amz-meta-of: a  b");
        await curl(await headersOf("-X", "DELETE", url), "-X", "DELETE");
        await expect(curl(await headersOf(url))).rejects.toThrow("404");
      });

      test("--curl: a command line, which a shell runs", async () => {
        const run = async (...more: string[]): Promise<string> =>
          runTool("sh", ["-c", (await headersOf("--curl", ...more)).replace("curl ", "curl -sS --fail ")]);
        const url = `${bucket}/it's [1].txt`;
        const data = "it's = & <data> @ \\ $HOME `id`";
        await run("-X", "PUT", "-H", "Content-Type: text/plain", "--data-raw", data, url);
        await run("-X", "HEAD", url);
        expect(await run(url)).toBe(data);
        await run("-T", file("put.txt", "from a file"), `${bucket}/`);
        expect(await run(`${bucket}/put.txt`)).toBe("from a file");
      });

      test("--send: a file is put and its content comes out", async () => {
        const content = randomBytes(6 << 20);
        const put = await sign("--send", "-T", file("large", content), "--verbose", `${bucket}/`);
        expect(put).toMatchObject({ code: 0, stdout: "" });
        expect(put.stderr).toMatch(/^> PUT \/sign-.*\/large HTTP\/1\.1\n(> .*\n)+< HTTP\/1\.1 200 OK\n/);
        expect(put.stderr).toContain("> authorization: (not shown)\n");
        const pipe = `"$NODE" "$PROGRAM" sign --send "$@" | sha256sum`;
        const variables = cliEnvironment({ ...env, NODE: process.execPath, PROGRAM: cliProgram });
        const url = `${bucket}/large`;
        const { stdout } = await promisify(execFile)("sh", ["-c", pipe, "sh", ...args, url], {
          env: variables,
        });
        expect(stdout.slice(0, 64)).toBe(createHash("sha256").update(content).digest("hex"));
      });

      test("--send: a reader that has had enough ends it quietly", async () => {
        await sign("--send", "-T", file("for head", randomBytes(6 << 20)), `${bucket}/head`);
        const pipe = `{ "$NODE" "$PROGRAM" sign --send "$@"; echo "exit $?" >&2; } | head -c 1 | wc -c`;
        const variables = cliEnvironment({ ...env, NODE: process.execPath, PROGRAM: cliProgram });
        const { stdout, stderr } = await promisify(execFile)(
          ...(["sh", ["-c", pipe, "sh", ...args, `${bucket}/head`]] as const),
          { env: variables, timeout: 30_000 },
        );
        expect([stdout.trim(), stderr]).toEqual(["1", "exit 0\n"]);
      });

      test("an HTTP error: told, and with --fail the exit code says which kind", async () => {
        const missing = `${bucket}/nothing`;
        const said = await sign("--send", missing);
        expect(said).toMatchObject({ code: 0, stderr: "aws-hmac: HTTP 404 Not Found\n" });
        expect(said.stdout).toContain("<Code>NoSuchKey</Code>");
        const failed = await sign("--send", "--fail", missing);
        expect(failed).toMatchObject({ code: 1, stdout: "" });
        expect(failed.stderr).toMatch(/NoSuchKey.*\n?aws-hmac: GET \/sign-\w+\/nothing: HTTP 404\n$/s);
        const refused = await sign("--send", "--fail", "-s", "other", missing);
        expect(refused).toMatchObject({ code: 4, stdout: "" });
      });

      test("a role's temporary credentials sign, and their token is shown in no message", async () => {
        const variables = { ...env, AWS_ENDPOINT_URL_STS: gateway.endpoint };
        const role = ["sign", ...args, "--role-arn", gateway.roleArn];
        const { stdout, stderr } = await runCli([...role, "--send", "-v", "--fail", bucket], {
          env: variables,
        });
        expect(stdout).toContain("<ListBucketResult");
        expect(stderr).toContain("> x-amz-security-token: (not shown)\n");
        const { stdout: lines } = await runCli([...role, bucket], { env: variables });
        expect(parsed(lines)["x-amz-security-token"]?.length).toBeGreaterThan(50);
        const sent = await runTool("curl", ["-sS", "--fail", "-H", `@${file("role", lines)}`, bucket]);
        expect(sent).toContain("<ListBucketResult");
      });
    });
  }
});

const backend = devices.find(({ name }) => name === "tpm");
if (!backend) throw new Error("no TPM among the backends");
describeWith(backend.needs, "aws-hmac sign", () => {
  let device: Awaited<ReturnType<typeof backend.start>>;
  let args: string[];
  let env: NodeJS.ProcessEnv;
  const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
  beforeAll(async () => {
    device = await backend.start(secretAccessKey);
    ({ args, env } = keyFlags(device.child));
    args = ["sign", ...args, "-i", accessKeyId, "-r", "eu-central-1"];
  });
  afterAll(() => device?.stop());

  /** What aws4 signs for what was printed. */
  const judge = (
    service: string,
    url: string,
    headers: Record<string, string>,
    body = "",
    method = "POST",
  ) => {
    const { authorization: _, ...rest } = headers;
    const { host, pathname, search } = new URL(url);
    const request = {
      ...{ service, host, path: pathname + search, method, body, region: "eu-central-1" },
      headers: { ...rest, host },
      extraHeadersToIgnore: {
        "content-length": true,
        ...(!("content-type" in rest) && { "content-type": true }),
      },
    };
    return aws4.sign(request, { accessKeyId, secretAccessKey }).headers?.Authorization;
  };

  const place = "https://id.execute-api.eu-central-1.amazonaws.com/v1/things";
  const form = file("form", "one=1\r\ntwo=2\n");
  test.each([
    [["-d", "a=1", "-d", "b=ä"], "a=1&b=ä", "application/x-www-form-urlencoded"],
    [["-d", `@${form}`, "--data-raw", "@x"], "one=1two=2&@x", "application/x-www-form-urlencoded"],
    [["--data-binary", `@${form}`], "one=1\r\ntwo=2\n", "application/x-www-form-urlencoded"],
    [["-d", "@-"], "from stdin", "application/x-www-form-urlencoded"],
    [["--data-json", '{"a":1}'], '{"a":1}', "application/json"],
    [["-d", "<x/>", "-H", "Content-Type: text/xml", "-H", "x-amz-empty;"], "<x/>", "text/xml"],
    [["-d", ""], "", "application/x-www-form-urlencoded"],
  ])("%j: the body that curl makes of it", async (flags, body, type) => {
    const { code, stdout, stderr } = await runCli([...args, "-s", "execute-api", "--json", ...flags, place], {
      ...{ env, input: "from stdin\n" },
    });
    expect([code, stderr]).toEqual([0, ""]);
    const { method, url, headers } = JSON.parse(stdout);
    expect([method, url, headers["content-type"]]).toEqual(["POST", place, type]);
    expect(headers.authorization).toBe(judge("execute-api", url, headers, body));
    // curl's own words for the same arguments
    const server = await startHttp((): Answer => ({ status: 200, body: "" }));
    try {
      const sent = await runCli([...args, "-s", "execute-api", "--send", ...flags, server.endpoint], {
        ...{ env, input: "from stdin\n" },
      });
      expect(sent).toMatchObject({ code: 0, stderr: "" });
      const curl = flags.map((flag) => (flag === "--data-json" ? "--json" : flag));
      await runTool("curl", ["-sS", ...curl, server.endpoint], { input: "from stdin\n" });
      const [ours, theirs] = server.requests;
      expect([ours?.method, ours?.body, ours?.headers["content-type"]]).toEqual([
        theirs?.method,
        theirs?.body,
        theirs?.headers["content-type"],
      ]);
      expect(ours?.headers["x-amz-empty"]).toBe(theirs?.headers["x-amz-empty"]);
    } finally {
      await server.stop();
    }
  });

  test("as a chain of roles, and as the user with an MFA device", async () => {
    const sts = await startHttp(({ body }) =>
      credentialsXml(new URLSearchParams(body).get("Action") ?? "", undefined, {
        ...{ accessKeyId: "ASIATEMPORARY", secretAccessKey: secret, sessionToken: "token" },
      }),
    );
    try {
      const sign = async (...more: string[]): Promise<Record<string, string>> => {
        const { code, stdout, stderr } = await runCli([...args, ...more, place], {
          env: { ...env, AWS_ENDPOINT_URL_STS: sts.endpoint },
        });
        expect([code, stderr]).toEqual([0, ""]);
        const headers = parsed(stdout);
        expect(headers.authorization).toContain("Credential=ASIATEMPORARY/");
        return headers;
      };
      const roles = ["--role-arn", `${RoleArn}1`, "--role-arn", `${RoleArn}2`, "--external-id", "third"];
      expect((await sign(...roles))["x-amz-security-token"]).toBe("token");
      const mfa = ["--mfa-serial", "GAHT1", "--token-code", "123456"];
      expect((await sign(...mfa))["x-amz-security-token"]).toBe("token");
      const sent = sts.requests.map(({ body }) => Object.fromEntries(new URLSearchParams(body)));
      expect(sent).toEqual([
        expect.objectContaining({ Action: "AssumeRole", RoleArn: `${RoleArn}1` }),
        expect.objectContaining({ Action: "AssumeRole", RoleArn: `${RoleArn}2`, ExternalId: "third" }),
        {
          ...{ Action: "GetSessionToken", Version: "2011-06-15" },
          ...{ SerialNumber: "GAHT1", TokenCode: "123456" },
        },
      ]);
    } finally {
      await sts.stop();
    }
  });

  test("headers of a file, and none of a default that is taken away", async () => {
    const lines = file("header lines", "X-Amz-Meta-A: 1\r\n\r\nx-amz-meta-a: 2\n");
    const { stdout } = await runCli([...args, "-H", `@${lines}`, "-H", "content-type:", "-d", "x", place], {
      env,
    });
    const headers = parsed(stdout);
    expect(Object.keys(headers).sort()).toEqual([
      ...["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a"],
    ]);
    expect(headers["x-amz-meta-a"]).toBe("1,2");
    expect(headers.authorization).toBe(judge("s3", place, headers, "x"));
  });

  test("a path that curl would send otherwise than it is signed is told", async () => {
    const { stderr } = await runCli([...args, "https://a.example/one/../b"], { env });
    expect(stderr).toBe("aws-hmac: the request must be sent to https://a.example/b\n");
  });

  test("a file of 512 MiB is put without being in memory", async () => {
    const large = path.join(folder, "sparse");
    const descriptor = openSync(large, "w");
    ftruncateSync(descriptor, 512 << 20);
    closeSync(descriptor);
    const hash = createHash("sha256");
    let [length, announced] = [0, ""];
    const server = createServer((request, response) => {
      announced = String(request.headers["x-amz-content-sha256"]);
      request.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        length += chunk.length;
      });
      request.on("end", () => response.end());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const measure =
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); " +
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)";
      const program = [process.execPath, cliProgram, ...args, "--send", "-T", large];
      const options = { env: cliEnvironment(env) };
      const printed = await runTool(
        "python3",
        ["-c", measure, ...program, `http://127.0.0.1:${port}/x`],
        options,
      );
      const [code, megabytes] = printed.trim().split(" ").map(Number);
      expect([code, length]).toEqual([0, 512 << 20]);
      expect(announced).toBe(hash.digest("hex"));
      expect(megabytes).toBeLessThan(256);
    } finally {
      server.close();
    }
  }, 60_000);

  test("a server that is not there, says nothing, or breaks off", async () => {
    const silent = await startHttp((): Answer => undefined);
    const late = await runCli([...args, "--send", "--max-time", "1", silent.endpoint], { env });
    await silent.stop();
    expect([late.code, late.stdout, late.stderr]).toEqual([
      ...[3, "", `aws-hmac: ${silent.endpoint}: not done within 1 s (--max-time)\n`],
    ]);
    const gone = await runCli([...args, "--send", silent.endpoint], { env });
    expect(gone).toMatchObject({ code: 3, stderr: `aws-hmac: ${silent.endpoint}: ECONNREFUSED\n` });
    const breaking = createServer((_request, response) => {
      response.writeHead(200, { "content-length": "10" });
      response.write("half", () => response.destroy());
    });
    await new Promise<void>((resolve) => breaking.listen(0, "127.0.0.1", resolve));
    const { port } = breaking.address() as AddressInfo;
    const broken = await runCli([...args, "--send", `http://127.0.0.1:${port}`], { env });
    breaking.close();
    expect(broken).toMatchObject({ code: 3, stdout: "half", stderr: expect.stringContaining("ECONNRESET") });
  });

  test("a file that becomes shorter while it is sent is told", async () => {
    const changing = file("changing", randomBytes(1000));
    const server = createServer();
    server.on("checkContinue", (_request, response) => {
      truncateSync(changing, 10);
      response.writeContinue();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await runCli([...args, "--send", "-T", changing, `http://127.0.0.1:${port}/x`], {
      env,
    });
    server.close();
    expect([code, stderr]).toEqual([
      ...[2, `aws-hmac: --upload-file: ${changing} was changed while it was sent [ERR_INVALID_ARGUMENT]\n`],
    ]);
  });

  test("a server that refuses the headers is not sent the file", async () => {
    let length = 0;
    const server = createServer();
    server.on("checkContinue", (request, response) => {
      request.on("data", (chunk: Buffer) => {
        length += chunk.length;
      });
      response.writeHead(403).end("no\n");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/x`;
    const refused = await runCli([...args, "--send", "--fail", "-T", file("kept", randomBytes(1000)), url], {
      env,
    });
    server.close();
    expect([refused.code, length]).toEqual([4, 0]);
    expect(refused.stderr).toBe("no\naws-hmac: PUT /x: HTTP 403\n");
  });
});

test.each([
  [["sign"], /missing required argument 'url'/],
  [["sign", "--json", "--send", "https://a.example/"], /--json, --curl and --send exclude each other/],
  [["sign", "--fail", "https://a.example/"], /--verbose, --fail and --max-time go with --send/],
  [["sign", "-d", "x", "-T", "y", "https://a.example/"], /--upload-file and --data exclude each other/],
  [["sign", "-T", "-", "https://a.example/"], /--upload-file needs a file: it is read twice/],
  [
    ["sign", "-T", "/nonexistent", "https://a.example/"],
    /--upload-file: cannot open \/nonexistent \(ENOENT\)/,
  ],
  [["sign", "-T", "/dev/null", "https://a.example/"], /--upload-file: \/dev\/null is no regular file/],
  [
    ["sign", "-d", "@/nonexistent", "https://a.example/"],
    /the data's file \/nonexistent cannot be read \(ENOENT\)/,
  ],
  [["sign", "-H", "no header", "https://a.example/"], /--header must be `Name: value`/],
  [["sign", "-H", "@/nonexistent", "https://a.example/"], /--header: cannot read \/nonexistent \(ENOENT\)/],
  [["sign", "-X", "GET /", "https://a.example/"], /--request must be a method such as GET/],
  [["sign", "a.example"], /url must be an absolute URL \[ERR_SIGN_INPUT\]/],
  [["sign", "https://a.example/"], /--access-key-id is missing/],
])("%j is refused on stderr, with exit code 2 and nothing on stdout", async (args, message) => {
  const { code, stdout, stderr } = await runCli(args);
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, ""]);
});
