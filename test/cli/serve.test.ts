import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import { connect, createServer } from "node:net";
import path from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
import { fromContainerMetadata, fromHttp, fromInstanceMetadata } from "@aws-sdk/credential-providers";
import { backends, type Device } from "../support/backends.js";
import { keyFlags, runCli } from "../support/cli.js";
import { type Answer, type Received, startHttp } from "../support/http.js";
import { close, freePorts, listen, listens } from "../support/ports.js";
import { temporaryFolder, until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { ask, type HttpAnswer, type Serving, startCli, startServe } from "../support/serving.js";
import { accessKeyId, credentialsXml, end, errorXml, RoleArn } from "../support/sts.js";

const role = ["--role-arn", RoleArn];
const temporary = {
  ...{ accessKeyId: "ASIATEMPORARY", secretAccessKey: "temporary", sessionToken: "token", expiration: end },
};
const action = ({ body }: Received): string => new URLSearchParams(body).get("Action") ?? "";

describeWith(["softhsm"], "aws-hmac serve", () => {
  const pkcs11 = backends.find(({ name }) => name === "pkcs11");
  const { folder, remove } = temporaryFolder("serve");
  let device: Device;
  let sts: Awaited<ReturnType<typeof startHttp>>;
  let answer: (request: Received) => Answer | Promise<Answer>;
  let who: string[];
  let env: NodeJS.ProcessEnv;
  let running: Serving[] = [];

  beforeAll(async () => {
    device = (await pkcs11?.start()) as Device;
    sts = await startHttp((request) => answer(request));
    const flags = keyFlags(device.child);
    who = [...flags.args, "-i", accessKeyId];
    env = {
      ...{ ...flags.env, AWS_ENDPOINT_URL_STS: sts.endpoint, AWS_REGION: "eu-west-1" },
      AWS_MAX_ATTEMPTS: "1", // what STS says is passed on at once
    };
  });
  afterAll(async () => {
    await sts?.stop();
    await device?.stop();
    remove();
  });
  beforeEach(() => {
    sts.requests.length = 0;
    answer = (request) => credentialsXml(action(request));
  });
  afterEach(async () => {
    await Promise.all(running.map((one) => one.end("SIGKILL")));
    running = [];
  });

  async function serve(args: string[] = []): ReturnType<typeof startServe> {
    const serving = await startServe([...who, ...args], { env });
    running.push(serving);
    return serving;
  }

  /** Lets STS give credentials for so many milliseconds; gives when those end that it gave first. */
  function answerFor(life: number): () => number {
    let first = Number.POSITIVE_INFINITY;
    answer = (request) => {
      const until = Date.now() + life;
      first = Math.min(first, until);
      return credentialsXml(action(request), new Date(until).toISOString());
    };
    return () => first;
  }

  /** Calls with these variables in the environment, as SDKs see it. */
  async function withVariables<T>(variables: Record<string, string>, work: () => Promise<T>): Promise<T> {
    Object.assign(process.env, variables);
    try {
      return await work();
    } finally {
      for (const name of Object.keys(variables)) delete process.env[name];
    }
  }

  describe("as a container's endpoint", () => {
    /** The endpoint, and how it is asked for credentials. */
    async function container(args: string[] = []): Promise<{
      serving: Awaited<ReturnType<typeof serve>>;
      uri: string;
      authorization: string;
      credentials(): Promise<HttpAnswer>;
    }> {
      const serving = await serve([...role, ...args]);
      const uri = serving.variables.AWS_CONTAINER_CREDENTIALS_FULL_URI as string;
      const authorization = serving.variables.AWS_CONTAINER_AUTHORIZATION_TOKEN as string;
      return {
        ...{ serving, uri, authorization },
        credentials: () => ask(uri, { headers: { authorization } }),
      };
    }

    test("SDKs get the credentials, as STS gave them", async () => {
      const { serving, uri, authorization } = await container();
      expect(Object.keys(serving.variables)).toEqual([
        ...["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"],
      ]);
      expect(uri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/credentials$/);
      expect(authorization).toMatch(/^[\w-]{43}$/);
      await withVariables(serving.variables, async () => {
        expect(await fromHttp()()).toMatchObject(temporary);
        expect(await fromContainerMetadata()()).toMatchObject({ ...temporary, accountId: "123456789012" });
      });
      expect(sts.requests).toHaveLength(1);
      expect(serving.stderr()).toBe("");
    });

    test("the variables are lines for a shell", async () => {
      const serving = startCli(["serve", ...who, "--port", "0"], { env });
      running.push(serving);
      await until("the variables", () => serving.stdout().split("\n").length === 3);
      const print =
        'eval "$1"; printf "%s %s" "$AWS_CONTAINER_CREDENTIALS_FULL_URI" "$AWS_CONTAINER_AUTHORIZATION_TOKEN"';
      const printed = execFileSync("sh", ["-c", print, "sh", serving.stdout()], { encoding: "utf8" });
      const [uri, authorization] = printed.split(" ") as [string, string];
      expect((await ask(uri, { headers: { authorization } })).status).toBe(200);
    });

    test("the token in a file of its own, which goes with it", async () => {
      const file = path.join(folder, "token");
      const serving = await serve([...role, "--token-file", file]);
      expect(serving.variables).toEqual({
        AWS_CONTAINER_CREDENTIALS_FULL_URI: expect.any(String),
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
      });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readFileSync(file, "utf8")).toMatch(/^[\w-]{43}$/);
      await withVariables(serving.variables, async () => {
        expect(await fromHttp()()).toMatchObject(temporary);
      });
      expect(await serving.end("SIGTERM")).toBe(0);
      expect(() => statSync(file)).toThrow("ENOENT");
    });

    test("others are refused, in the SDKs' form", async () => {
      const { uri, authorization } = await container();
      const told = async (url: string, options: Parameters<typeof ask>[1]): Promise<[number, string[]]> => {
        const { status, body } = await ask(url, options);
        expect(body).not.toContain("temporary");
        return [status, Object.keys(JSON.parse(body))];
      };
      const right = { authorization };
      const form = ["Code", "Message"];
      expect(await told(uri, {})).toEqual([401, form]);
      expect(await told(uri, { headers: { authorization: `${authorization}x` } })).toEqual([401, form]);
      expect(await told(uri, { headers: { authorization: authorization.slice(1) } })).toEqual([401, form]);
      expect(await told(uri, { headers: { authorization: "" } })).toEqual([401, form]);
      expect(await told(uri, { headers: right, method: "POST" })).toEqual([405, form]);
      expect(await told(new URL("/", uri).href, { headers: right })).toEqual([404, form]);
      expect(await told(uri, { headers: { ...right, "x-forwarded-for": "10.0.0.1" } })).toEqual([403, form]);
      expect(await told(uri, { headers: { ...right, forwarded: "for=10.0.0.1" } })).toEqual([403, form]);
      const { port } = new URL(uri);
      for (const host of [
        "rebound.example",
        `rebound.example:${port}`,
        "10.0.0.1",
        "127.0.0.1.example",
        "[::2]",
      ]) {
        expect(await told(uri, { headers: { ...right, host } })).toEqual([403, form]);
      }
      for (const host of [`127.0.0.1:${port}`, "127.0.0.1", "localhost", "[::1]:80", "LOCALHOST"]) {
        expect((await ask(uri, { headers: { ...right, host } })).status).toBe(200);
      }
    });

    test("it listens on loopback only, or where it is told to, of which it warns", async () => {
      const { uri } = await container();
      await expect(ask(uri.replace("127.0.0.1", "127.0.0.2"))).rejects.toMatchObject({
        code: "ECONNREFUSED",
      });
      const everywhere = await container(["--host", "0.0.0.0"]);
      expect(everywhere.serving.stderr()).toBe(
        "aws-hmac: whoever reaches 0.0.0.0 can ask for credentials, with the token\n",
      );
      const { authorization } = everywhere;
      const elsewhere = everywhere.uri.replace("127.0.0.1", "127.0.0.2");
      expect((await ask(elsewhere, { headers: { authorization } })).status).toBe(200);
      const rebound = { authorization, host: "rebound.example" };
      expect((await ask(elsewhere, { headers: rebound })).status).toBe(403);
    });

    test("500 callers and 20 SDK clients make one STS call for each refresh", async () => {
      const endOfFirst = answerFor(4_000);
      const { uri, authorization, credentials } = await container();
      let release: (answer: Answer) => void = () => undefined;
      answer = () =>
        new Promise((resolve) => {
          release = resolve;
        });
      await until("the credentials' end", () => Date.now() > endOfFirst());
      const provider = fromHttp({
        ...{ awsContainerCredentialsFullUri: uri, awsContainerAuthorizationToken: authorization },
        timeout: 20_000,
      });
      const clients = Array.from(
        { length: 20 },
        () => new S3Client({ region: "eu-west-1", credentials: provider }),
      );
      const calls = Promise.all([
        Promise.all(Array.from({ length: 500 }, credentials)),
        Promise.all(clients.map((client) => client.config.credentials())),
      ]);
      await until("the refresh", () => sts.requests.length > 1);
      release(credentialsXml("AssumeRole"));
      const [answers, identities] = await calls;
      for (const { status, body } of answers) {
        expect([status, JSON.parse(body).Expiration]).toEqual([200, end.toISOString().replace(".000Z", "Z")]);
      }
      for (const identity of identities) expect(identity).toMatchObject(temporary);
      expect(sts.requests).toHaveLength(2);
    });

    test("an STS that fails is survived until the credentials end, and answered then", async () => {
      const endOfFirst = answerFor(5_000);
      const { serving, credentials } = await container(["--timeout", "1000"]);
      answer = () => errorXml(403, "AccessDenied");
      const statuses: number[] = [];
      const isOver = async (): Promise<boolean> => {
        const { status } = await credentials();
        if (Date.now() < endOfFirst()) statuses.push(status);
        return Date.now() > endOfFirst();
      };
      await until("the credentials' end", isOver);
      expect(new Set(statuses)).toEqual(new Set([200]));
      expect(serving.stderr()).toMatch(
        /^aws-hmac: the last credentials stay in use: STS AssumeRole: AccessDenied/,
      );
      const told = async (): Promise<unknown[]> => {
        const { status, body } = await credentials();
        return [status, JSON.parse(body)];
      };
      expect(await told()).toEqual([
        403,
        {
          Code: "AccessDenied",
          Message: expect.stringMatching(/^STS AssumeRole: AccessDenied \(HTTP 403\)/),
        },
      ]);
      answer = () => errorXml(400, "Throttling");
      expect(await told()).toEqual([503, { Code: "Throttling", Message: expect.any(String) }]);
      answer = () => errorXml(400, "MalformedPolicyDocument");
      expect(await told()).toEqual([500, { Code: "MalformedPolicyDocument", Message: expect.any(String) }]);
      answer = () => undefined;
      expect(await told()).toEqual([503, { Code: "ERR_STS_TIMEOUT", Message: expect.any(String) }]);
      answer = (request) => credentialsXml(action(request));
      expect((await credentials()).status).toBe(200);
    });

    test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
      "%s ends it, after what is being answered",
      async (signal) => {
        const endOfFirst = answerFor(2_000);
        const { serving, uri, authorization } = await container();
        let release: (answer: Answer) => void = () => undefined;
        answer = () =>
          new Promise((resolve) => {
            release = resolve;
          });
        await until("the credentials' end", () => Date.now() > endOfFirst());
        const asked = request(uri, { headers: { authorization, expect: "100-continue" }, agent: false });
        asked.flushHeaders();
        await once(asked, "continue"); // it is being answered now
        await until("the refresh", () => sts.requests.length > 1);
        const ended = serving.end(signal);
        await until("the end", async () => !(await listens(Number(new URL(uri).port))));
        release(credentialsXml("AssumeRole"));
        const [response] = await once(asked, "response");
        response.resume();
        expect(response.statusCode).toBe(200);
        expect(await ended).toBe(0);
        expect(serving.stderr()).toBe("");
      },
    );

    test("an open connection does not hold it up", async () => {
      const { serving, uri } = await container();
      const socket = connect(Number(new URL(uri).port), "127.0.0.1");
      socket.on("error", () => undefined); // it is cut
      socket.write("GET /credentials HTTP/1.1\r\n");
      expect(await serving.end("SIGTERM")).toBe(0);
      socket.destroy();
    });
  });

  describe("as the metadata service of an instance", () => {
    const tokenPath = "/latest/api/token";
    const ttlHeader = "x-aws-ec2-metadata-token-ttl-seconds";
    const credentialsPath = "/latest/meta-data/iam/security-credentials/";

    test("an SDK gets the credentials", async () => {
      const { variables } = await serve(["--imds", ...role]);
      expect(Object.keys(variables)).toEqual(["AWS_EC2_METADATA_SERVICE_ENDPOINT"]);
      await withVariables({ ...variables, AWS_EC2_METADATA_V1_DISABLED: "true" }, async () => {
        const provided = await fromInstanceMetadata()();
        expect(provided).toMatchObject({ ...temporary, accountId: "123456789012" });
      });
      expect(sts.requests).toHaveLength(1);
    });

    test("it tells the role, its credentials and the region, to who has a token", async () => {
      const { variables } = await serve(["--imds", ...role]);
      const base = variables.AWS_EC2_METADATA_SERVICE_ENDPOINT as string;
      const issued = await ask(base + tokenPath, { method: "PUT", headers: { [ttlHeader]: "60" } });
      expect([issued.status, issued.headers[ttlHeader]]).toEqual([200, "60"]);
      const get = (where: string): Promise<HttpAnswer> =>
        ask(base + where, { headers: { "x-aws-ec2-metadata-token": issued.body } });
      expect((await get(credentialsPath)).body).toBe("reader");
      expect(JSON.parse((await get(`${credentialsPath}reader`)).body)).toEqual({
        ...{ Code: "Success", Type: "AWS-HMAC", LastUpdated: expect.stringMatching(/^\d{4}-.*\dZ$/) },
        ...{ AccessKeyId: "ASIATEMPORARY", SecretAccessKey: "temporary", Token: "token" },
        ...{ Expiration: end.toISOString().replace(".000Z", "Z"), AccountId: "123456789012" },
      });
      expect((await get("/latest/meta-data/placement/region")).body).toBe("eu-west-1");
      expect((await get("/latest/meta-data/placement/availability-zone")).body).toBe("eu-west-1a");
      const document = JSON.parse((await get("/latest/dynamic/instance-identity/document")).body);
      expect(document.region).toBe("eu-west-1");
      expect((await get(`${credentialsPath}another`)).status).toBe(404);
      expect((await get("/latest/user-data")).status).toBe(404);
    });

    test("others are refused", async () => {
      const { variables } = await serve(["--imds", ...role]);
      const base = variables.AWS_EC2_METADATA_SERVICE_ENDPOINT as string;
      const put = async (headers: Record<string, string>): Promise<number> =>
        (await ask(base + tokenPath, { method: "PUT", headers })).status;
      for (const ttl of ["", "0", "21601", "-1", "soon", "1e3", "99999"]) {
        expect([ttl, await put({ [ttlHeader]: ttl })]).toEqual([ttl, 400]);
      }
      expect(await put({})).toBe(400);
      expect(await put({ [ttlHeader]: "21600" })).toBe(200);
      expect(await put({ [ttlHeader]: "60", "x-forwarded-for": "10.0.0.1" })).toBe(403);
      expect(await put({ [ttlHeader]: "60", host: "rebound.example" })).toBe(403);
      expect((await ask(base + tokenPath)).status).toBe(405);
      const { body: token } = await ask(base + tokenPath, { method: "PUT", headers: { [ttlHeader]: "60" } });
      const get = async (headers: Record<string, string>, method = "GET"): Promise<number> =>
        (await ask(`${base}${credentialsPath}reader`, { headers, method })).status;
      const header = "x-aws-ec2-metadata-token";
      expect(await get({})).toBe(401); // version 1
      const other = `${token.slice(0, -1)}${token.endsWith("A") ? "E" : "A"}`;
      for (const wrong of ["", "token", token.slice(0, -4), other, `A${token.slice(1)}`]) {
        expect([wrong, await get({ [header]: wrong })]).toEqual([wrong, 401]);
      }
      expect(await get({ [header]: token }, "POST")).toBe(405);
      expect(await get({ [header]: token })).toBe(200);
    });

    test("a token ends when it is due", async () => {
      const { variables } = await serve(["--imds", ...role]);
      const base = variables.AWS_EC2_METADATA_SERVICE_ENDPOINT as string;
      const start = performance.now();
      const { body: token } = await ask(base + tokenPath, { method: "PUT", headers: { [ttlHeader]: "2" } });
      const status = async (): Promise<number> =>
        (await ask(base + credentialsPath, { headers: { "x-aws-ec2-metadata-token": token } })).status;
      expect(await status()).toBe(200);
      await until("the token's end", async () => (await status()) === 401);
      expect(performance.now() - start).toBeGreaterThan(1_990);
    });

    test("without a role it is called aws-hmac", async () => {
      const { variables } = await serve(["--imds"]);
      const provided = await withVariables(variables, () => fromInstanceMetadata()());
      expect(provided).toMatchObject(temporary);
      expect(sts.requests.map(action)).toEqual(["GetSessionToken"]);
    });
  });

  test.each([
    [["--port", "65536"], /--port must be from 0 to 65535/],
    [["--port", "any"], /It must be a whole number/],
    [["--host", "no.such.host.invalid"], /cannot listen there/],
    [["--imds", "--token-file", "/tmp/token"], /--token-file: with --imds callers get tokens themselves/],
    [["--token-file", "/nonexistent/token"], /\/nonexistent\/token cannot be written/],
    [["--cache"], /unknown option '--cache'/],
  ])("%j is refused", async (args, message) => {
    const { code, stdout, stderr } = await runCli(["serve", ...who, ...args], { env });
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("a port that is taken", async () => {
    const port = await freePorts(1);
    const server = await listen(createServer(), port);
    const { code, stdout, stderr } = await runCli(["serve", ...who, "--port", String(port)], { env });
    await close(server);
    expect([code, stdout, stderr]).toEqual([2, "", expect.stringContaining("EADDRINUSE")]);
  });

  test("where STS refuses the first credentials, it says so and does not begin", async () => {
    answer = () => errorXml(403, "AccessDenied");
    const { code, stdout, stderr } = await runCli(["serve", ...who], { env });
    expect([code, stdout, stderr]).toEqual([4, "", expect.stringContaining("[ERR_STS_DENIED]")]);
  });
});
