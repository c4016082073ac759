// IAM's endpoints as botocore has them.
import { execFileSync } from "node:child_process";
import { iamEndpoint } from "../../lib/cli/iam-endpoint.js";
import { Settings } from "../../lib/cli/settings.js";
import { describeWith } from "../support/requirements.js";
import { python } from "../support/tink.js";

const regions = [
  "eu-central-1",
  "us-east-1",
  "cn-northwest-1",
  "us-gov-east-1",
  "us-iso-west-1",
  "us-isob-east-1",
  "eusc-de-east-1",
];
const program = `
import json, sys
import botocore.session
def of(region):
    client = botocore.session.Session().create_client("iam", region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
    sent = {}
    client.meta.events.register("before-send", lambda request, **_: sent.update(url=request.url, headers=dict(request.headers)) or 1/0)
    try:
        client.list_access_keys()
    except ZeroDivisionError:
        pass
    return [sent["url"], sent["headers"]["Authorization"].decode().split("/")[2]]
print(json.dumps([of(region) for region in sys.argv[1:]]))
`;

describeWith(["moto"], "IAM's endpoint", () => {
  test("of each partition is botocore's, and so is the region of signatures", async () => {
    const env = { PATH: process.env.PATH, HOME: "/nonexistent" };
    const theirs = JSON.parse(execFileSync(python, ["-c", program, ...regions], { encoding: "utf8", env }));
    for (const [index, region] of regions.entries()) {
      const { url, region: signing } = await iamEndpoint(new Settings({ region }));
      expect([url.href, signing]).toEqual(theirs[index]);
    }
  });
});
