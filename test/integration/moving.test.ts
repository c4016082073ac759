// docs/moving.md, as written: each recipe ends in a key that signs rightly.
import path from "node:path";
import { importTinkKey, importTpmKey, importVaultKey, openTpmKey } from "../../lib/index.js";
import { secretAccessKey } from "../support/backends.js";
import { baoProgram, startBao } from "../support/bao.js";
import { allRight, flood } from "../support/flood.js";
import { follow, type Guide, withOwnKms } from "../support/guide.js";
import { startKms } from "../support/kms.js";
import { startMoto } from "../support/moto.js";
import { freePorts } from "../support/ports.js";
import { temporaryFolder } from "../support/process.js";
import { callQueryApi } from "../support/query-api.js";
import { describeWith } from "../support/requirements.js";
import { startSwtpm } from "../support/swtpm.js";
import { python } from "../support/tink.js";

const page = "docs/moving.md";
const handle = 0x81008001;
const password = "correct-horse";
const readme: Guide = { page: "README.md", heading: "### With a TPM 2.0" };
const proof: Guide = { page, heading: "## The secret was kept" };

describeWith(["swtpm"], "a key moves", () => {
  const { folder, remove } = temporaryFolder("moving");
  let tpm: Awaited<ReturnType<typeof startSwtpm>>;
  beforeEach(async () => {
    tpm = await startSwtpm();
  });
  afterEach(() => tpm.stop());
  afterAll(remove);

  /** The commands with this TPM, and with these variables. */
  const here = (text: string, env: NodeJS.ProcessEnv): string => {
    const variables = Object.entries({ TPM_TCTI: tpm.tcti, KEY_PASSWORD: password, ...env });
    const exports = variables.map(([name, value]) => `export ${name}='${value}'\n`).join("");
    return exports + text.replaceAll("tpm:0x81008001", `tpm:0x81008001?tcti=${tpm.tcti}`);
  };

  async function expectInTpm(): Promise<void> {
    const key = await openTpmKey({ tcti: tpm.tcti, handle, auth: { password } });
    expect(await flood(key)).toEqual(allRight);
    await key.close();
  }

  describeWith(["moto", "tink"], "from a Tink keyset", () => {
    test("into a TPM", async () => {
      const { arn, clientConfig, env, stop } = await startKms();
      try {
        const keysetFile = path.join(folder, "keyset.json");
        const kek = `aws-kms://${arn}`;
        await importTinkKey(Buffer.from(secretAccessKey), { kek, clientConfig, keysetFile });
        const output = await follow(
          { page, heading: "## From a Tink keyset", also: [readme, proof] },
          (text) =>
            here(withOwnKms(text, arn, env), {})
              .replaceAll("./keyset.json", "keyset.json")
              .replaceAll("keyset.json", keysetFile)
              .replace("python3", python),
        );
        expect(output).toBe("the same secret\n");
        await expectInTpm();
      } finally {
        await stop();
      }
    });
  });

  describeWith(["openbao"], "from OpenBao", () => {
    test("into a TPM", async () => {
      const bao = await startBao();
      try {
        const { address, token, call } = bao;
        await importVaultKey(Buffer.from(secretAccessKey), { address, token, name: "signer" });
        const output = await follow(
          { page, heading: "## From Vault or OpenBao", also: [readme, proof] },
          (text) =>
            here(text, {
              VAULT_ADDR: address,
              VAULT_TOKEN: token,
              HOME: folder,
              PATH: `${path.dirname(baoProgram)}:${process.env.PATH}`,
            }),
        );
        expect(output).toContain("the same secret\n");
        await expectInTpm();
        await expect(call("transit/keys/signer")).rejects.toMatchObject({ status: 404 });
      } finally {
        await bao.stop();
      }
    });
  });

  describeWith(["moto"], "to a new access key", () => {
    test("that the old one makes, of the same user", async () => {
      const moto = await startMoto();
      try {
        const { accessKeyId, secretAccessKey: secret } = moto.credentials;
        const auth = { password };
        const { reference } = await importTpmKey(Buffer.from(secret), { tcti: tpm.tcti, handle, auth });
        const env = {
          ...{ AWS_ACCESS_KEY_ID: accessKeyId, SIGNING_KEY: reference, AWS_REGION: "eu-central-1" },
          ...{ AWS_ENDPOINT_URL_IAM: moto.endpoint, AWS_ENDPOINT_URL_STS: moto.endpoint },
        };
        // Into a TPM that is not there: IAM keeps no key whose secret nobody has.
        const nowhere = `swtpm:host=127.0.0.1,port=${await freePorts(1)}`;
        const failing = follow({ page, heading: "## Nobody has the secret: a new access key" }, (text) =>
          here(text, { ...env, TPM_TCTI: nowhere }),
        );
        await expect(failing).rejects.toThrow(/ERR_TPM_CONNECTION/);
        const list = { Action: "ListAccessKeys", Version: "2010-05-08", UserName: "tester" };
        const { text } = await callQueryApi(moto.endpoint, "iam", list, moto.credentials);
        const ids = [...text.matchAll(/<AccessKeyId>(\w+)</g)].map(([, one]) => one);
        expect(ids).toEqual([accessKeyId]);

        const output = await follow(
          { page, heading: "## Nobody has the secret: a new access key" },
          (text) => {
            const own = text.replace("examples/", "../../examples/");
            return `${here(own, env)}\necho $AWS_ACCESS_KEY_ID $SIGNING_KEY`;
          },
        );
        const user = "arn:aws:iam::123456789012:user/tester";
        const [get, post, now = ""] = output.split("\n");
        expect([get, post]).toEqual([`GET  ${user}`, `POST ${user}`]);
        const [id, place] = now.split(" ");
        expect(id).toMatch(/^AKIA\w+$/);
        expect(id).not.toBe(accessKeyId);
        expect(place).toMatch(/^tpm:0x8[\da-f]{7}\?tcti=/);
        expect(place).not.toBe(reference);
      } finally {
        await moto.stop();
      }
    });
  });
});
