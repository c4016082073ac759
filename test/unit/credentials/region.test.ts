import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { HttpRequest } from "@smithy/types";
import { HttpProxyAgent } from "http-proxy-agent";
import { fromAssumeRole, fromSessionToken, type StsClientConfig } from "../../../lib/index.js";
import { CapturedRequests, judgedAuthorization } from "../../support/captured-requests.js";
import { temporaryFolder } from "../../support/process.js";
import { accessKeyId, credentialsXml, RoleArn, secret, stopAllSts, stsThat } from "../../support/sts.js";

const { folder, remove } = temporaryFolder("region");
const environment = process.env;

beforeEach(() => {
  const kept = Object.entries(environment).filter(([name]) => !name.startsWith("AWS_"));
  process.env = {
    ...Object.fromEntries(kept),
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_CONFIG_FILE: "/nonexistent",
    AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
  };
});
afterEach(async () => {
  process.env = environment;
  await stopAllSts();
});
afterAll(remove);

let files = 0;
/** The SDK reads each file once: each test has its own. */
function configFile(text: string): void {
  const file = path.join(folder, `config-${files++}`);
  writeFileSync(file, text);
  process.env.AWS_CONFIG_FILE = file;
}

/** The request that goes out with these settings. */
async function sent(clientConfig: StsClientConfig = {}): Promise<HttpRequest> {
  const answer = credentialsXml("AssumeRole");
  const requestHandler = new CapturedRequests({ ...answer, statusCode: answer.status });
  const { options } = await stsThat(() => undefined);
  const settings = { ...clientConfig, requestHandler: requestHandler as unknown as NodeHttpHandler };
  await fromAssumeRole(options({ clientConfig: settings }))();
  expect(requestHandler.sent).toHaveLength(1);
  const [request] = requestHandler.sent as [HttpRequest];
  expect(request.headers.authorization).toBe(
    judgedAuthorization(request, { accessKeyId, secretAccessKey: secret }),
  );
  return request;
}

const where = ({ protocol, hostname, port }: HttpRequest): string =>
  `${protocol}//${hostname}${port ? `:${port}` : ""}`;
const scope = (request: HttpRequest): string | undefined =>
  /Credential=[^/]+\/\d+\/([^,]+)\/aws4_request/.exec(request.headers.authorization ?? "")?.[1];

describe("the region comes", () => {
  const config = `
[default]
region = eu-north-1
[profile far]
region = ap-southeast-4
[profile without]
output = json
`;

  test("from clientConfig before all", async () => {
    Object.assign(process.env, { AWS_REGION: "us-west-2", AWS_DEFAULT_REGION: "us-west-1" });
    configFile(config);
    expect(scope(await sent({ region: "sa-east-1" }))).toBe("sa-east-1/sts");
    expect(scope(await sent({ region: async () => "sa-east-1" }))).toBe("sa-east-1/sts");
  });

  test("then from AWS_REGION", async () => {
    Object.assign(process.env, { AWS_REGION: "us-west-2", AWS_DEFAULT_REGION: "us-west-1" });
    configFile(config);
    expect(scope(await sent())).toBe("us-west-2/sts");
  });

  test("then from the profile: the default one, AWS_PROFILE's or clientConfig's", async () => {
    process.env.AWS_DEFAULT_REGION = "us-west-1";
    configFile(config);
    expect(scope(await sent())).toBe("eu-north-1/sts");
    expect(scope(await sent({ profile: "far" }))).toBe("ap-southeast-4/sts");
    process.env.AWS_PROFILE = "far";
    expect(scope(await sent())).toBe("ap-southeast-4/sts");
    expect(scope(await sent({ profile: "default" }))).toBe("eu-north-1/sts");
  });

  test("then from AWS_DEFAULT_REGION, as for the AWS CLI", async () => {
    process.env.AWS_DEFAULT_REGION = "us-west-1";
    configFile(config);
    expect(scope(await sent({ profile: "without" }))).toBe("us-west-1/sts");
  });

  test("from the EC2 instance at last", async () => {
    const instance = createServer((request, response) => {
      const region = request.url === "/latest/meta-data/placement/region";
      response.end(region ? "af-south-1" : "token");
    });
    await listen(instance);
    process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = url(instance);
    delete process.env.AWS_EC2_METADATA_DISABLED;
    try {
      expect(scope(await sent())).toBe("af-south-1/sts");
    } finally {
      instance.close();
      instance.closeAllConnections();
    }
  });

  test.each<[string, StsClientConfig]>([
    ["nowhere", {}],
    ["from a profile that has none", { profile: "without" }],
    ["as nothing", { region: "" }],
    ["as nothing from a function", { region: async () => undefined as unknown as string }],
    ["as no name of a region", { region: "http://there" }],
    ["not, since a function fails", { region: () => Promise.reject<string>(new Error("no")) }],
  ])("%s: an error, no call and no region made up", async (_, clientConfig) => {
    configFile("[profile without]\noutput = json\n");
    const sts = await stsThat(() => credentialsXml("GetSessionToken"));
    const config = { ...clientConfig, endpoint: sts.endpoint };
    for (const provider of [fromAssumeRole, fromSessionToken]) {
      await expect(
        provider({ ...sts.options(), clientConfig: config, params: { RoleArn } })(),
      ).rejects.toMatchObject({ name: "CredentialsError", code: "ERR_REGION_MISSING" });
    }
    expect(sts.requests).toEqual([]);
  });

  test("whatever it is later: an error is not kept", async () => {
    const sts = await stsThat(() => credentialsXml("AssumeRole"));
    const provide = fromAssumeRole(sts.options({ clientConfig: { endpoint: sts.endpoint } }));
    await expect(provide()).rejects.toMatchObject({ code: "ERR_REGION_MISSING" });
    process.env.AWS_REGION = "ap-south-1";
    await provide();
    expect(sts.requests[0]?.headers.authorization).toContain("/ap-south-1/sts/aws4_request");
  });
});

// By AWS's documentation of STS: "AWS STS Regions and endpoints", "AWS service endpoints" and "FIPS endpoints by service".
test.each<[StsClientConfig, string, string]>([
  [{ region: "us-east-1" }, "https://sts.us-east-1.amazonaws.com", "us-east-1/sts"],
  [{ region: "eu-central-1" }, "https://sts.eu-central-1.amazonaws.com", "eu-central-1/sts"],
  [{ region: "cn-north-1" }, "https://sts.cn-north-1.amazonaws.com.cn", "cn-north-1/sts"],
  [{ region: "us-gov-west-1" }, "https://sts.us-gov-west-1.amazonaws.com", "us-gov-west-1/sts"],
  [{ region: "us-iso-east-1" }, "https://sts.us-iso-east-1.c2s.ic.gov", "us-iso-east-1/sts"],
  [
    { region: "us-gov-east-1", useFipsEndpoint: true },
    "https://sts.us-gov-east-1.amazonaws.com",
    "us-gov-east-1/sts",
  ],
  [
    { region: "us-west-2", useFipsEndpoint: true },
    "https://sts-fips.us-west-2.amazonaws.com",
    "us-west-2/sts",
  ],
  [{ region: "fips-us-west-2" }, "https://sts-fips.us-west-2.amazonaws.com", "us-west-2/sts"],
  [{ region: "eu-west-1", useDualstackEndpoint: true }, "https://sts.eu-west-1.api.aws", "eu-west-1/sts"],
  [
    { region: "us-east-2", useDualstackEndpoint: true, useFipsEndpoint: true },
    "https://sts-fips.us-east-2.api.aws",
    "us-east-2/sts",
  ],
  [{ region: "eu-west-1", endpoint: "http://sts.test:8000" }, "http://sts.test:8000", "eu-west-1/sts"],
])("%j goes to %s, signed for %s", async (clientConfig, endpoint, signedFor) => {
  const request = await sent(clientConfig);
  expect([where(request), scope(request)]).toEqual([endpoint, signedFor]);
});

describe("the environment and the profile say", () => {
  test("FIPS and dual-stack", async () => {
    Object.assign(process.env, { AWS_USE_FIPS_ENDPOINT: "true", AWS_REGION: "us-east-2" });
    expect(where(await sent())).toBe("https://sts-fips.us-east-2.amazonaws.com");
    delete process.env.AWS_USE_FIPS_ENDPOINT;
    configFile(
      "[profile both]\nregion = us-east-2\nuse_fips_endpoint = true\nuse_dualstack_endpoint = true\n",
    );
    expect(where(await sent({ profile: "both" }))).toBe("https://sts-fips.us-east-2.api.aws");
  });

  test("the endpoint: STS's before that of all, the environment's before the profile's", async () => {
    configFile(`
[default]
region = eu-west-1
services = local
endpoint_url = http://profile.test
[profile other]
region = eu-west-1
endpoint_url = http://profile.test
[services local]
sts =
  endpoint_url = http://services.test
`);
    expect(where(await sent())).toBe("http://services.test");
    process.env.AWS_PROFILE = "other";
    expect(where(await sent())).toBe("http://profile.test");
    process.env.AWS_ENDPOINT_URL = "http://all.test";
    expect(where(await sent())).toBe("http://all.test");
    process.env.AWS_ENDPOINT_URL_STS = "http://sts.test:9000";
    expect(where(await sent())).toBe("http://sts.test:9000");
    expect(where(await sent({ endpoint: "http://explicit.test" }))).toBe("http://explicit.test");
    process.env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS = "true";
    expect(where(await sent())).toBe("https://sts.eu-west-1.amazonaws.com");
  });
});

test("a proxy, as for any SDK client: by a requestHandler with its agent, for each role", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const passed: string[] = [];
  const proxy = createServer((request, response) => {
    passed.push(request.url ?? "");
    void forward(request, response);
  });
  await listen(proxy);
  const requestHandler = new NodeHttpHandler({ httpAgent: new HttpProxyAgent(url(proxy)) });
  const { clientConfig } = sts.options();
  try {
    const params = [{ RoleArn }, { RoleArn }];
    await fromAssumeRole(sts.options({ params, clientConfig: { ...clientConfig, requestHandler } }))();
    expect(passed).toEqual([`${sts.endpoint}/`, `${sts.endpoint}/`]);
    expect(sts.requests).toHaveLength(2);
  } finally {
    requestHandler.destroy();
    proxy.close();
    proxy.closeAllConnections();
  }
});

async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = await fetch(request.url ?? "", { method: "POST", body: "forwarded" });
  response.writeHead(answer.status, { "content-type": "text/xml" }).end(await answer.text());
}

const listen = (server: Server): Promise<void> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
