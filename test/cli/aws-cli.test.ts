// The AWS CLI and SDK v3 on Ceph's gateway, with credentials from the command line and the key in a device.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { fromProcess } from "@aws-sdk/credential-providers";
import { awsCli, runAwsCli } from "../support/aws-cli.js";
import { backends, type Device } from "../support/backends.js";
import { cliEnvironment, cliProgram, keyFlags, runCli } from "../support/cli.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { type Gateway, startGateway } from "../support/rgw.js";
import { startServe } from "../support/serving.js";

describeWith(["ceph", "awscli"], "AWS tools on the Ceph gateway", () => {
  const { folder, remove } = temporaryFolder("aws-cli");
  const bucket = "listed";
  const names = ["one", "two/three"];
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway();
    const { endpoint } = gateway;
    const s3 = new S3Client({ region: "us-east-1", endpoint, forcePathStyle: true, credentials: gateway });
    await s3.send(new CreateBucketCommand({ Bucket: bucket }));
    for (const Key of names) await s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: Key }));
  }, 120_000);
  afterAll(async () => {
    await gateway?.stop();
    remove();
  });

  for (const backend of backends.filter(({ name }) => name === "tpm" || name === "pkcs11")) {
    describeWith(backend.needs, `with the key in ${backend.name}`, () => {
      let device: Device;
      let config: string;
      let who: string[];
      let env: NodeJS.ProcessEnv;
      beforeAll(async () => {
        device = await backend.start(gateway.secretAccessKey);
        const flags = keyFlags(device.child);
        who = [...flags.args, "--access-key-id", gateway.accessKeyId, "--region", "us-east-1"];
        env = { ...flags.env, AWS_ENDPOINT_URL_STS: gateway.endpoint };
        const variables = cliEnvironment(env);
        const line = (more: string[]): string =>
          [
            ...["env", ...Object.entries(variables).map(([name, value]) => `${name}=${value ?? ""}`)],
            ...[process.execPath, cliProgram, "credential-process", ...who, ...more],
          ]
            .map((word) => `'${word}'`)
            .join(" ");
        config = path.join(folder, `config-${backend.name}`);
        writeFileSync(
          config,
          [
            ...["[profile user]", `credential_process = ${line([])}`],
            ...["[profile role]", `credential_process = ${line(["--role-arn", gateway.roleArn])}`],
            ...["[profile cached]", `credential_process = ${line(["--cache", `${config}.cache`])}`],
          ].join("\n"),
        );
      }, 60_000);
      afterAll(() => device?.stop());

      test.each(["user", "role", "cached"])(
        "credential-process, profile %s: the AWS CLI lists",
        async (profile) => {
          const listing = await runAwsCli(
            ["--endpoint-url", gateway.endpoint, "s3", "ls", "--recursive", `s3://${bucket}`],
            { AWS_CONFIG_FILE: config, AWS_PROFILE: profile, AWS_REGION: "us-east-1" },
          );
          expect(listed(listing)).toEqual(names);
        },
      );

      const list = (): string[] => [
        "--endpoint-url",
        gateway.endpoint,
        "s3",
        "ls",
        "--recursive",
        `s3://${bucket}`,
      ];
      const listed = (listing: string): (string | undefined)[] =>
        listing
          .trimEnd()
          .split("\n")
          .map((line) => line.split(/\s+/).at(-1));

      test.each([[[]], [["--imds"]]])("serve %j: the AWS CLI lists", async (more) => {
        const serving = await startServe([...who, "--role-arn", gateway.roleArn, ...more], { env });
        try {
          const listing = await runAwsCli(list(), { ...serving.variables, AWS_REGION: "us-east-1" });
          expect(listed(listing)).toEqual(names);
        } finally {
          expect(await serving.end("SIGTERM")).toBe(0);
        }
      });

      test("exec: the AWS CLI lists", async () => {
        const { code, stdout, stderr } = await runCli(["exec", ...who, "--", awsCli, ...list()], {
          // these would come first, and be refused
          env: {
            ...env,
            AWS_ACCESS_KEY_ID: "AKIAWRONG",
            AWS_SECRET_ACCESS_KEY: "wrong",
            AWS_PROFILE: "none",
          },
        });
        expect([code, stderr, listed(stdout)]).toEqual([0, "", names]);
      });

      test("credential-process, through fromProcess of the SDK", async () => {
        const credentials = fromProcess({
          profile: "role",
          configFilepath: config,
          filepath: "/nonexistent",
        });
        const s3 = new S3Client({
          ...{ region: "us-east-1", endpoint: gateway.endpoint, forcePathStyle: true, credentials },
        });
        const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
        expect(Contents?.map(({ Key }) => Key)).toEqual(names);
        expect((await credentials()).expiration?.getTime()).toBeGreaterThan(Date.now() + 3_000_000);
      });
    });
  }
});
