import { openTpmKey } from "../../lib/index.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { follow } from "../support/guide.js";
import { type Moto, startMoto } from "../support/moto.js";
import { describeWith } from "../support/requirements.js";
import { startSwtpm } from "../support/swtpm.js";

describeWith(["moto", "swtpm"], "docs/credentials.md", () => {
  let moto: Moto;
  let tpm: Awaited<ReturnType<typeof startSwtpm>>;
  let reference: string;

  beforeAll(async () => {
    moto = await startMoto({}, ["reader", "writer"]);
    tpm = await startSwtpm();
    const secret = Buffer.from(moto.credentials.secretAccessKey);
    ({ reference } = await importTpmKey(secret, { tcti: tpm.tcti, handle: 0x81008001 }));
    await (await openTpmKey({ tcti: tpm.tcti, handle: 0x81008001 })).close();
  }, 60_000);
  afterAll(async () => {
    await moto?.stop();
    await tpm?.stop();
  });

  test("its program, as written, is who it says", async () => {
    const variables = {
      ...{ SIGNING_KEY: reference, KEY_ID: moto.credentials.accessKeyId },
      ...{ AWS_REGION: "eu-central-1", AWS_ENDPOINT_URL_STS: moto.endpoint },
    };
    const exports = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
    const output = await follow({ page: "docs/credentials.md", heading: "## A program" }, (text) =>
      [...exports, text].join(""),
    );
    expect(output.trim().split("\n")).toEqual([
      expect.stringMatching(/^arn:aws:sts::123456789012:assumed-role\/reader\/aws-hmac-[\w-]+$/),
      "arn:aws:sts::123456789012:assumed-role/writer/who-am-i",
      "true",
    ]);
  }, 60_000);
});
