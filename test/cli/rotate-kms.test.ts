import { spawn } from "node:child_process";
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import { importAwsKmsKey } from "../../lib/provision/aws-kms.js";
import { cliEnvironment, cliProgram, runCli } from "../support/cli.js";
import { type Front, startFront } from "../support/front.js";
import { accessKeys, type Iam, identityOf, newUserKey, userArn } from "../support/iam-user.js";
import { type Kms, startKms } from "../support/kms.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";

const spec = { KeyUsage: "GENERATE_VERIFY_MAC", KeySpec: "HMAC_256", Origin: "EXTERNAL" } as const;

describeWith(["moto"], "aws-hmac rotate, with keys in AWS KMS", () => {
  const { folder, remove } = temporaryFolder("rotate-kms");
  let kms: Kms;
  let iam: Iam;
  let front: Front;
  beforeAll(async () => {
    kms = await startKms(spec);
    iam = { endpoint: kms.endpoint, credentials: kms.clientConfig.credentials };
    front = await startFront(Number(new URL(kms.endpoint).port));
  });
  afterAll(async () => {
    await front?.stop();
    await kms?.stop();
    remove();
  });
  beforeEach(() => front.treat((_, __, pass) => pass()));

  /** A key that waits for its material. */
  async function place(): Promise<string> {
    const { KeyMetadata } = await kms.client.send(new CreateKeyCommand(spec));
    return `aws-kms:${KeyMetadata?.Arn}`;
  }
  /** An access key of the user, in KMS. */
  async function userKey(): Promise<{ id: string; reference: string }> {
    const [{ id, secret }, to] = [await newUserKey(iam), await place()];
    const keyId = to.replace("aws-kms:", "");
    return { id, reference: (await importAwsKmsKey(secret, { keyId, client: kms.client })).reference };
  }
  const env = (): NodeJS.ProcessEnv => ({
    ...kms.env,
    ...{ AWS_ENDPOINT_URL_KMS: front.address, AWS_ENDPOINT_URL_IAM: kms.endpoint },
    XDG_STATE_HOME: folder,
  });
  const argsFor = ({ id, reference }: { id: string; reference: string }, ...flags: string[]): string[] => [
    ...["rotate", "--yes", "--json", "--key", reference, "--access-key-id", id, ...flags],
  ];
  const identity = (id: string, reference: string) =>
    identityOf(iam, id, reference, { clientConfig: kms.clientConfig });

  test("into another key, which waits for its material", async () => {
    const [key, to] = [await userKey(), await place()];
    const { code, stdout, stderr } = await runCli(argsFor(key, "--to", to), { env: env() });
    expect([code, stderr]).toEqual([0, expect.stringContaining(`${key.id} is deleted`)]);
    const { accessKeyId, reference, oldKey } = JSON.parse(stdout);
    expect([reference, oldKey]).toEqual([to, "deleted"]);
    expect(await accessKeys(iam)).toEqual({ [accessKeyId]: "Active" });
    expect(await identity(accessKeyId, to)).toBe(userArn);
  });

  test.each(["before", "after"] as const)("killed %s KMS has the material, and run again", async (when) => {
    const [key, to] = [await userKey(), await place()];
    const args = argsFor(key, "--to", to);
    const child = spawn(process.execPath, [cliProgram, ...args], {
      ...{ env: cliEnvironment(env()), stdio: "ignore" },
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    front.treat(({ headers }, answer, pass) => {
      if (headers["x-amz-target"] !== "TrentService.ImportKeyMaterial") return pass();
      answer.writeHead = () => {
        child.kill("SIGKILL");
        return answer;
      };
      if (when === "before") answer.writeHead(503);
      else pass();
    });
    await ended;
    expect(child.signalCode).toBe("SIGKILL");
    front.treat((_, __, pass) => pass());
    const lost = Object.keys(await accessKeys(iam)).find((one) => one !== key.id);
    const { code, stdout, stderr } = await runCli(args, { env: env() });
    expect([code, stderr]).toEqual([0, expect.stringContaining('going on behind step "created"')]);
    const { accessKeyId } = JSON.parse(stdout);
    expect([await accessKeys(iam), accessKeyId === lost]).toEqual([
      { [accessKeyId]: "Active" },
      when === "after",
    ]);
    expect(await identity(accessKeyId, to)).toBe(userArn);
  });

  test("a key that has material, or none to go to, is refused, and nothing is changed", async () => {
    const { reference: taken } = await userKey();
    const key = await userKey();
    for (const [flags, ends, said] of [
      [[], 2, "say with --to where the new key goes"],
      [["--to", taken], 1, "ERR_KEY_EXISTS"],
      [["--to", key.reference], 1, "ERR_KEY_EXISTS"],
      [["--replace"], 2, "--replace is for keys in tpm, pkcs11, vault, tink only"],
    ] as const) {
      const { code, stdout, stderr } = await runCli(argsFor(key, ...flags), { env: env() });
      expect([code, stdout, stderr]).toEqual([ends, "", expect.stringContaining(said)]);
    }
    expect(await accessKeys(iam)).toEqual({ [key.id]: "Active" });
    expect(await identity(key.id, key.reference)).toBe(userArn);
  });

  test("KMS refuses the import: the new access key is deleted again", async () => {
    const [key, to] = [await userKey(), await place()];
    front.treat(({ headers }, answer, pass) => {
      if (headers["x-amz-target"] !== "TrentService.ImportKeyMaterial") return pass();
      answer.writeHead(400, { "content-type": "application/x-amz-json-1.1" });
      answer.end('{"__type":"IncorrectKeyMaterialException","message":"other material"}');
    });
    const { code, stderr } = await runCli(argsFor(key, "--to", to), { env: env() });
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("could not be imported, and is deleted again"),
    ]);
    expect(await accessKeys(iam)).toEqual({ [key.id]: "Active" });
  });
});
