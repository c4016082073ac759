import http from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { STSClient } from "@aws-sdk/client-sts";
import { fromAssumeRole } from "../../../lib/credentials/from-assume-role.js";
import { runTool, until } from "../../support/process.js";
import { accessKeyId, credentialsXml, RoleArn, secret, stopAllSts, stsThat } from "../../support/sts.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await stopAllSts();
});

const ignore = (): void => undefined;

test("a provider that is dropped is let go, though its key lives and a refresh is due", async () => {
  setFlagsFromString("--expose_gc");
  const collect = runInNewContext("gc") as () => void;
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const held = await (async () => {
    const logger = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };
    await fromAssumeRole(sts.options({ logger }))();
    return new WeakRef(logger);
  })();
  await until(
    "the dropped provider's release",
    () => {
      collect();
      return held.deref() === undefined;
    },
    10_000,
  );
  expect(sts.key.closed?.aborted).toBe(false);
});

test("a refresh that is due in an hour does not keep a program alive", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const script = `
    const { fromAssumeRole } = require("./lib/credentials/from-assume-role.ts");
    const { insecureMemoryKey } = require("./lib/keys/memory.ts");
    fromAssumeRole({
      key: insecureMemoryKey("${secret}"),
      accessKeyId: "${accessKeyId}",
      params: { RoleArn: "${RoleArn}" },
      clientConfig: { region: "eu-west-1", endpoint: "${sts.endpoint}" },
    })().then(() => console.log(process.getActiveResourcesInfo().filter((one) => one === "Timeout").length));
  `;
  const options = { timeout: 30_000 }; // it would be an hour
  expect(await runTool(process.execPath, ["--import", "tsx", "-e", script], options)).toBe("0\n");
  expect(sts.requests).toHaveLength(1);
});

test("closing the key ends the client's connections, but not a handler of the caller's", async () => {
  const { requestHandler } = new STSClient({ region: "eu-west-1" }).config;
  const theirs = jest.spyOn(requestHandler, "destroy");
  const any = jest.spyOn(http.Agent.prototype, "destroy");
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const { clientConfig } = sts.options();
  await fromAssumeRole(sts.options())();
  await fromAssumeRole(sts.options({ clientConfig: { ...clientConfig, requestHandler } }))();
  await sts.key.close();
  expect(any).toHaveBeenCalled();
  expect(theirs).not.toHaveBeenCalled();
  requestHandler.destroy?.();
});

test("the calls of a chain of roles share one connection", async () => {
  const connections = jest.spyOn(http.Agent.prototype as Connecting, "createConnection");
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  await fromAssumeRole(sts.options({ params: [{ RoleArn }, { RoleArn }, { RoleArn }] }))();
  expect(sts.requests).toHaveLength(3);
  expect(connections).toHaveBeenCalledTimes(1);
});

type Connecting = http.Agent & { createConnection(): unknown };
