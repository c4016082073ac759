import type { KMSClient } from "@aws-sdk/client-kms";
import { checkTimeout } from "../../core/validate.js";
import { parseKmsArn } from "../../kms/aws-arn.js";
import { callAwsKms, loadAwsKms } from "../../kms/aws-client.js";

/** What AWS KMS says of a key, in its own words. */
export interface DescribedAwsKmsKey {
  keyId: string;
  /** E.g. `Enabled`, or `PendingImport` of a key without material. */
  state: string;
  usage: string;
  spec: string;
  origin: string;
}

interface Parts {
  keyId: string;
  timeout?: number | undefined;
}

/**
 * Describes a key of AWS KMS (DescribeKey).
 *
 * @throws KmsError what `openAwsKmsKey` throws for the key and its service
 */
export async function describeAwsKmsKey(parts: Parts): Promise<DescribedAwsKmsKey> {
  return withKms(parts, "DescribeKey", async (kms, client, abortSignal) => {
    const command = new kms.DescribeKeyCommand({ KeyId: parts.keyId });
    const { KeyMetadata: key } = await client.send(command, { abortSignal });
    const { KeyState: state = "", KeyUsage: usage = "", KeySpec: spec = "", Origin: origin = "" } = key ?? {};
    return { keyId: key?.Arn ?? parts.keyId, state, usage, spec, origin };
  });
}

/**
 * Takes the imported material out of a key of AWS KMS (DeleteImportedKeyMaterial); the key itself stays, and takes the same
 * material again but no other.
 *
 * @throws KmsError what `openAwsKmsKey` throws for the key and its service
 */
export async function deleteAwsKmsMaterial(parts: Parts): Promise<void> {
  await withKms(parts, "DeleteImportedKeyMaterial", (kms, client, abortSignal) =>
    client.send(new kms.DeleteImportedKeyMaterialCommand({ KeyId: parts.keyId }), { abortSignal }),
  );
}

async function withKms<T>(
  { keyId, timeout }: Parts,
  operation: string,
  use: (kms: typeof import("@aws-sdk/client-kms"), client: KMSClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const kms = await loadAwsKms(`a key in AWS KMS (${operation})`);
  const client = new kms.KMSClient({ region: parseKmsArn(keyId)?.region ?? "" });
  try {
    const send = (signal: AbortSignal): Promise<T> => use(kms, client, signal);
    return await callAwsKms({ operation, timeout: checkTimeout(timeout), signal: undefined, send });
  } finally {
    client.destroy();
  }
}
