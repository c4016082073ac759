import { writeFileSync } from "node:fs";
import path from "node:path";
import { CreateKeyCommand, type CreateKeyCommandInput, KMSClient } from "@aws-sdk/client-kms";
import { startMoto } from "./moto.js";
import { type Server, temporaryFolder } from "./process.js";
import type { Credentials } from "./query-api.js";

/** A KMS of moto's with one key. */
export interface Kms extends Server {
  endpoint: string;
  /** The key's. */
  arn: string;
  clientConfig: { endpoint: string; region: string; credentials: Credentials };
  client: KMSClient;
  /** Variables by which another process finds it: a file has the credentials, since AWS_ACCESS_KEY_ID says who signs. */
  env: NodeJS.ProcessEnv;
}

/** Starts moto, and makes a key in its KMS: a symmetric one for encryption by default. */
export async function startKms(key: CreateKeyCommandInput = {}): Promise<Kms> {
  const { folder, remove } = temporaryFolder("kms");
  const { endpoint, credentials, stop } = await startMoto();
  const clientConfig = { endpoint, region: "eu-central-1", credentials };
  const client = new KMSClient(clientConfig);
  const { KeyMetadata } = await client.send(new CreateKeyCommand(key));
  const file = path.join(folder, "credentials");
  const { accessKeyId, secretAccessKey } = credentials;
  writeFileSync(
    file,
    `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    { mode: 0o600 },
  );
  return {
    ...{ endpoint, clientConfig, client, arn: KeyMetadata?.Arn ?? "" },
    env: {
      ...{ AWS_SHARED_CREDENTIALS_FILE: file, AWS_ENDPOINT_URL_KMS: endpoint },
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true", // on Node 20 the SDK writes to stderr
    },
    async stop() {
      client.destroy();
      await stop();
      remove();
    },
  };
}
