import { execFile } from "node:child_process";
import path from "node:path";
import { backends, type Device } from "../support/backends.js";
import { keyVariables } from "../support/example.js";
import { type Moto, startMoto } from "../support/moto.js";
import { describeWith } from "../support/requirements.js";

const program = path.join(__dirname, "..", "..", "examples", "rest.mjs");
const wrongSecret = "wrongTest/Secret+Key0001wrongTest/Secret";

describeWith(["moto"], "examples/rest.mjs", () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
  }, 60_000);
  afterAll(() => moto?.stop());

  /** Runs the example with these variables only. */
  function run(key: NodeJS.ProcessEnv): Promise<{ code: unknown; stdout: string; stderr: string }> {
    const env = {
      ...{ PATH: process.env.PATH, NODE_NO_WARNINGS: "1", ...key },
      ...{ AWS_ACCESS_KEY_ID: moto.credentials.accessKeyId, AWS_REGION: "eu-central-1" },
      AWS_ENDPOINT_URL_STS: moto.endpoint,
    };
    return new Promise((resolve) => {
      execFile(process.execPath, [program], { env, timeout: 30_000 }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });
  }

  for (const backend of backends) {
    describeWith(backend.needs, `with a key in ${backend.name}`, () => {
      test("moto tells the user by GET and by POST", async () => {
        const { secretAccessKey } = moto.credentials;
        const device = await backend.start(secretAccessKey);
        try {
          const arn = "arn:aws:iam::123456789012:user/tester";
          expect(await run(variables(device, secretAccessKey))).toEqual({
            ...{ code: 0, stderr: "", stdout: `GET  ${arn}\nPOST ${arn}\n` },
          });
        } finally {
          await device.stop();
        }
      });

      test("moto refuses a wrong key", async () => {
        const device = await backend.start(wrongSecret);
        try {
          const { code, stdout, stderr } = await run(variables(device, wrongSecret));
          expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
          expect(stderr).toMatch(/^GET: HTTP 403 .*<Code>SignatureDoesNotMatch<\/Code>/s);
        } finally {
          await device.stop();
        }
      });
    });
  }
});

/** What tells the example where its key is. */
function variables({ child }: Device, secret: string): NodeJS.ProcessEnv {
  return child ? keyVariables(child) : { AWS_SECRET_ACCESS_KEY: secret };
}
