import http from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { STSClient } from "@aws-sdk/client-sts";
import { fromAssumeRole } from "../../../lib/credentials/from-assume-role.js";
import { until } from "../../support/process.js";
import { credentialsXml, RoleArn, stopAllSts, stsThat } from "../../support/sts.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await stopAllSts();
});

test("a provider that is dropped is let go, though its key lives", async () => {
  setFlagsFromString("--expose_gc");
  const collect = runInNewContext("gc") as () => void;
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const params = await (async () => {
    const options = sts.options({ params: { RoleArn } });
    await fromAssumeRole(options)();
    return new WeakRef(options.params);
  })();
  await until("the dropped provider's release", () => {
    collect();
    return params.deref() === undefined;
  });
  expect(sts.key.closed?.aborted).toBe(false);
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
