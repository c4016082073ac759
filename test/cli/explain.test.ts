import { writeFileSync } from "node:fs";
import path from "node:path";
import aws4 from "aws4";
import { runCli } from "../support/cli.js";
import { temporaryFolder } from "../support/process.js";

const { folder, remove } = temporaryFolder("cli-explain");
afterAll(remove);
const who = ["-i", "AKIAIOSFODNN7EXAMPLE", "-r", "eu-central-1"];
const date = "20261123T120000Z";

/** What aws4 would sign, of whatever is different from an SQS call. */
function judged(changes: {
  headers?: Record<string, string>;
  path?: string;
}): InstanceType<typeof aws4.RequestSigner> {
  const request = {
    ...{ service: "sqs", region: "eu-central-1", method: "POST", host: "sqs.eu-central-1.amazonaws.com" },
    ...{ path: "/", body: "Action=ListQueues", ...changes },
    headers: {
      ...{ "Content-Type": "application/x-www-form-urlencoded", "X-Amz-Date": date, ...changes.headers },
    },
    extraHeadersToIgnore: { "content-length": true },
  };
  const signer = new aws4.RequestSigner(request, {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "none",
  });
  signer.prepareRequest();
  return signer;
}

/** As the services of AWS tell it (AWS general reference, "Troubleshooting Signature Version 4"). */
function answer(signer: ReturnType<typeof judged>): string {
  return (
    "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not " +
    "match the signature you provided. Check your AWS Secret Access Key and signing method.\n\nThe Canonical String for this request " +
    `should have been\n'${signer.canonicalString().replaceAll("&", "&amp;")}'\n\nThe String-to-Sign should have been\n'${signer.stringToSign()}'\n` +
    "</Message></Error></ErrorResponse>"
  );
}

const call = [
  "explain",
  ...who,
  "-s",
  "sqs",
  "-d",
  "Action=ListQueues",
  "https://sqs.eu-central-1.amazonaws.com/",
];
const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, "  ");

test("what is signed, as aws4 would sign it, without a key", async () => {
  const signer = judged({});
  expect(await runCli([...call, "--date", date])).toEqual({
    ...{ code: 0, stderr: "" },
    stdout: `Canonical request:\n${indented(signer.canonicalString())}\n\nString to sign:\n${indented(signer.stringToSign())}\n`,
  });
  const { stdout } = await runCli([...call, "--date", "2026-11-23T12:00:00Z", "--json"]);
  expect(JSON.parse(stdout)).toEqual({
    canonicalRequest: signer.canonicalString(),
    stringToSign: signer.stringToSign(),
    credentialScope: "20261123/eu-central-1/sqs/aws4_request",
    signedHeaders: ["content-type", "host", "x-amz-date"],
    payloadHash: signer.canonicalString().split("\n").at(-1),
  });
});

test("a presigned URL, and a file", async () => {
  const file = path.join(folder, "file");
  writeFileSync(file, "abc");
  const place = "https://bucket.s3.eu-central-1.amazonaws.com/";
  const presigned = await runCli(["explain", ...who, "--expires", "60", `${place}a.txt`]);
  expect(presigned.stdout).toMatch(/^ {2}GET\n {2}\/a.txt\n {2}X-Amz-Algorithm=.*X-Amz-Expires=60/m);
  const put = await runCli(["explain", ...who, "-T", file, place]);
  expect(put.stdout).toMatch(/^ {2}PUT\n {2}\/file\n\n(.*\n)+ {2}ba7816bf[0-9a-f]{56}$/m);
});

test("where AWS saw something else, of a file", async () => {
  const file = path.join(folder, "answer.xml");
  writeFileSync(file, answer(judged({ headers: { "Content-Type": "text/xml" }, path: "/?x=1&y=2" })));
  const { code, stdout, stderr } = await runCli([...call, "--aws-error", file]);
  expect([code, stderr]).toEqual([0, ""]);
  const told = stdout.slice(stdout.indexOf("AWS saw"));
  expect(told.replaceAll(/^ {4}(?!here|AWS).*\n/gm, "")).toBe(
    "AWS saw something else:\n" +
      "  header content-type\n    here  application/x-www-form-urlencoded\n    AWS   text/xml\n" +
      "  query x\n    here  (not there)\n    AWS   1\n  query y\n    here  (not there)\n    AWS   2\n",
  );
  const json = JSON.parse((await runCli([...call, "--aws-error", file, "--json"])).stdout);
  expect(json.differences.map(({ part }: { part: string }) => part)).toEqual([
    ...["header content-type", "query x", "query y"],
  ]);
});

test("where AWS saw the same, from stdin", async () => {
  const { code, stdout } = await runCli([...call, "--aws-error", "-"], { input: answer(judged({})) });
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /\n\nAWS saw the same: the secret that signed does not belong to AKIAIOSFODNN7EXAMPLE, or another key signed\.\n$/,
  );
});

test.each([
  [["explain"], "", /missing required argument 'url'/],
  [["explain", "https://a.example/"], "", /--access-key-id is missing/],
  [[...call, "--date", "tomorrow"], "", /--date must be as 20261123T120000Z/],
  [[...call, "--expires", "0"], "", /expiresIn must be a whole number of seconds.*\[ERR_EXPIRES_IN\]/],
  [[...call, "--aws-error", "/nonexistent"], "", /--aws-error: cannot read \/nonexistent \(ENOENT\)/],
  [
    [...call, "--aws-error", "-"],
    "<Error><Code>AccessDenied</Code></Error>",
    /give the whole answer.*\[ERR_SIGN_INPUT\]/,
  ],
])("%j is refused on stderr, with exit code 2 and nothing on stdout", async (args, input, message) => {
  const { code, stdout, stderr } = await runCli(args, { input });
  expect(stderr).toMatch(message);
  expect([code, stdout]).toEqual([2, ""]);
});
