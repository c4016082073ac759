import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import {
  type CredentialsEvent,
  fromAssumeRole,
  fromFederationToken,
  fromSessionToken,
} from "../../../lib/index.js";
import { eventsDuring } from "../../support/events.js";
import { until } from "../../support/process.js";
import { type StrictSts, startStrictSts } from "../../support/strict-sts.js";
import { errorXml, RoleArn, stopAllSts } from "../../support/sts.js";

const minute = 60_000;
const hour = 60 * minute;
const truth = Date.now.bind(Date);

const ignore = (): void => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

/** Sets this machine's clock off; the servers' `Date` and time are their own. */
function setClock(off: () => number): void {
  jest.spyOn(Date, "now").mockImplementation(() => truth() + off());
}

const sdkClient = (sts: StrictSts, credentials: ReturnType<typeof fromAssumeRole>): STSClient =>
  new STSClient({ region: "eu-west-1", endpoint: sts.endpoint, credentials, maxAttempts: 1 });

afterEach(async () => {
  jest.restoreAllMocks();
  await stopAllSts();
});

test("500 callers and 20 SDK clients cause one STS call per refresh", async () => {
  let later = 0;
  setClock(() => later);
  const sts = await startStrictSts();
  const provide = fromAssumeRole(sts.options());
  const clients = Array.from({ length: 20 }, () => sdkClient(sts, provide));
  const everybody = async (): Promise<string[]> => {
    const callers = Array.from({ length: 500 }, async () => (await provide()).accessKeyId);
    const users = clients.map(
      async (client) => (await client.send(new GetCallerIdentityCommand({}))).Arn ?? "none",
    );
    return [...new Set(await Promise.all([...callers, ...users]))];
  };
  const calls = (): number => sts.accepted.filter((action) => action === "AssumeRole").length;

  const events = await eventsDuring<CredentialsEvent>("aws-hmac:credentials", async () => {
    for (const round of [1, 2, 3]) {
      expect(await everybody()).toEqual([sts.issued[round - 1]?.accessKeyId]);
      expect(calls()).toBe(round);
      // in the SDK's last five minutes each client asks; nobody waits, and all go on with what they have
      later += 56 * minute;
      expect(await everybody()).toEqual([sts.issued[round - 1]?.accessKeyId]);
      await until(
        "the refresh",
        async () => (await provide()).accessKeyId !== sts.issued[round - 1]?.accessKeyId,
      );
      expect(calls()).toBe(round + 1);
    }
  });
  expect(events.map((event) => event.error)).toEqual([undefined, undefined, undefined, undefined]);
  expect(sts.accepted.length - calls()).toBe(6 * 20);
  for (const client of clients) client.destroy();
});

test("a timer refreshes in time, though nobody asks meanwhile", async () => {
  const sts = await startStrictSts();
  const provide = fromAssumeRole(sts.options({ params: { RoleArn, DurationSeconds: 8 } }));
  const { accessKeyId } = await provide();
  await until("the refresh", () => sts.issued.length === 2);
  expect(sts.issued[0]?.end).toBeGreaterThan(Date.now());
  await until("the new credentials", async () => (await provide()).accessKeyId !== accessKeyId);
});

test("a logger that throws costs nobody the credentials", async () => {
  const sts = await startStrictSts();
  const thrown: unknown[] = [];
  const real = process.nextTick;
  const later = jest.spyOn(process, "nextTick").mockImplementation((task, ...args) =>
    real(() => {
      try {
        task(...args);
      } catch (error) {
        thrown.push(error);
      }
    }),
  );
  const info = (): never => {
    throw new Error("disk full");
  };
  try {
    await fromAssumeRole(sts.options({ logger: { ...silent, info } }))();
    await until("the logger's error", () => thrown.length > 0);
  } finally {
    later.mockRestore();
  }
  expect(thrown).toEqual([new Error("disk full")]);
});

test.each<[string, (sts: StrictSts) => void]>([
  ["fails", (sts) => (sts.instead = () => errorXml(500, "InternalFailure"))],
  ["throttles", (sts) => (sts.instead = () => errorXml(400, "Throttling"))],
  ["refuses", (sts) => (sts.instead = () => errorXml(403, "AccessDenied"))],
  ["stalls", (sts) => (sts.instead = () => undefined)],
  ["answers with something else", (sts) => (sts.instead = () => ({ status: 200, body: "<html>hotel" }))],
])(
  "an STS that %s: the last good credentials until they end, then an error, then new ones",
  async (_, harm) => {
    let later = 0;
    setClock(() => later);
    const sts = await startStrictSts();
    const warnings: string[] = [];
    const logger = { ...silent, warn: (text: string) => warnings.push(text) };
    const provide = fromAssumeRole(sts.options({ logger, timeout: 2_000 }));
    const client = sdkClient(sts, provide);
    const who = async (): Promise<string> => (await provide()).accessKeyId;
    const first = await who();

    harm(sts);
    later = 56 * minute;
    expect(await who()).toBe(first);
    await until("the failed refresh", () => warnings.length === 1);
    expect(warnings).toEqual([
      expect.stringMatching(/^aws-hmac: the last credentials stay in use: STS AssumeRole: /),
    ]);
    later = 60 * minute - 30_000; // beside the seconds that this takes
    expect(await who()).toBe(first);
    expect((await client.send(new GetCallerIdentityCommand({}))).Arn).toBe(first);

    later = 60 * minute + 1_000;
    await expect(provide()).rejects.toMatchObject({ name: "CredentialsError" });
    sts.instead = undefined;
    expect(await who()).toBe(sts.issued.at(-1)?.accessKeyId);
    expect((await client.send(new GetCallerIdentityCommand({}))).Arn).toBe(await who());
    client.destroy();
  },
);

test.each<[string, (sts: StrictSts) => ReturnType<typeof fromAssumeRole>]>([
  ["fromAssumeRole", (sts) => fromAssumeRole(sts.options())],
  ["fromSessionToken", (sts) => fromSessionToken({ ...sts.options(), params: {} })],
  ["fromFederationToken", (sts) => fromFederationToken({ ...sts.options(), params: { Name: "somebody" } })],
])("%s: another client's signatures with its credentials are right", async (_, provider) => {
  const sts = await startStrictSts();
  const client = sdkClient(sts, provider(sts));
  expect((await client.send(new GetCallerIdentityCommand({}))).Arn).toBe(sts.issued[0]?.accessKeyId);
  client.destroy();
});

test("an STS that throttles for a moment is asked again within the call", async () => {
  const sts = await startStrictSts();
  let left = 2;
  const { clientConfig } = sts.options();
  const provide = fromAssumeRole(sts.options({ clientConfig: { ...clientConfig, maxAttempts: 3 } }));
  sts.instead = () => {
    if (--left === 0) sts.instead = undefined;
    return errorXml(400, "Throttling");
  };
  expect((await provide()).accessKeyId).toBe(sts.issued[0]?.accessKeyId);
  expect(sts.requests).toHaveLength(3);
});

describe.each([
  ["two hours fast", 2 * hour],
  ["two hours slow", -2 * hour],
  ["a day slow", -24 * hour],
])("a machine whose clock is %s", (_, off) => {
  test("signs rightly, and serves no credentials that have ended, to SDK clients neither", async () => {
    let later = 0;
    setClock(() => off + later);
    const sts = await startStrictSts();
    sts.now = () => truth() + later;
    const { clientConfig } = sts.options();
    const provide = fromAssumeRole(sts.options({ clientConfig: { ...clientConfig, maxAttempts: 2 } }));
    const client = new STSClient({ ...clientConfig, credentials: provide, maxAttempts: 2 });
    const { accessKeyId, expiration } = await provide();
    expect(accessKeyId).toBe(sts.issued[0]?.accessKeyId);
    expect(sts.requests).toHaveLength(2); // refused for the clock, and accepted
    // as this machine's clock will show it
    expect(Math.abs(expiration.getTime() - off - (sts.issued[0]?.end ?? 0))).toBeLessThan(3_000);
    expect((await client.send(new GetCallerIdentityCommand({}))).Arn).toBe(accessKeyId);

    later = 61 * minute;
    expect((await client.send(new GetCallerIdentityCommand({}))).Arn).toBe(sts.issued[1]?.accessKeyId);
    expect(sts.accepted.filter((action) => action === "AssumeRole")).toHaveLength(2);
    client.destroy();
  });
});

describe.each([
  ["two hours ahead", 2 * hour],
  ["two hours behind", -2 * hour],
])("an STS whose Date is %s, though its clock is right", (_, lie) => {
  test("is believed in nothing: the credentials last as they should, and are refreshed", async () => {
    let later = 0;
    setClock(() => later);
    const sts = await startStrictSts();
    sts.date = () => sts.now() + lie;
    const provide = fromAssumeRole(sts.options());
    const first = await provide();
    expect(first.expiration.getTime()).toBe(sts.issued[0]?.end);
    later = 50 * minute;
    expect((await provide()).accessKeyId).toBe(first.accessKeyId);
    expect(sts.accepted).toHaveLength(1);
    later = 60 * minute + 1_000;
    expect((await provide()).accessKeyId).toBe(sts.issued[1]?.accessKeyId);
    expect(sts.accepted).toHaveLength(2);
  });
});

test("credentials that had ended when they came are an error, not served", async () => {
  const sts = await startStrictSts();
  const provide = fromAssumeRole(sts.options({ params: { RoleArn, DurationSeconds: -60 } }));
  await expect(provide()).rejects.toMatchObject({
    code: "ERR_STS_RESPONSE",
    message: expect.stringContaining("had ended when they came"),
  });
});

test("an end that is far too late does not keep credentials from being refreshed in time", async () => {
  let later = 0;
  setClock(() => later);
  const sts = await startStrictSts();
  const provide = fromAssumeRole(sts.options({ params: { RoleArn, DurationSeconds: 3600 } }));
  sts.instead = (judged) => {
    sts.instead = undefined;
    const answer = judged();
    return answer && { ...answer, body: answer.body.replace(/<Expiration>....-/, "<Expiration>9999-") };
  };
  expect((await provide()).expiration.getUTCFullYear()).toBe(9999);
  later = 56 * minute;
  await provide();
  await until("the refresh", async () => (await provide()).accessKeyId === sts.issued[1]?.accessKeyId);
});
