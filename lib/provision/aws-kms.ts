import { constants, createPublicKey, type KeyObject, publicEncrypt, timingSafeEqual } from "node:crypto";
import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import { AwsHmacError, KmsError } from "../core/errors.js";
import { checkTimeout, invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { type AwsKmsKeyOptions, openAwsKmsKey } from "../keys/aws-kms.js";
import { parseKmsArn } from "../kms/aws-arn.js";
import { asKmsClient, callAwsKms, checkAwsClient, checkAwsRegion, loadAwsKms } from "../kms/aws-client.js";
import type { AwsKmsClient } from "../kms/aws-options.js";
import { makeProbe } from "./probe.js";

/** Where the secret goes: `keyId` is the ARN of a key (no alias). */
export interface AwsKmsImportOptions extends AwsKmsKeyOptions {
  /** What the key is for, `"sigv4"` by default; `HmacSignerV4a` needs one for `"sigv4a"`. */
  algorithm?: KeyAlgorithm | undefined;
}

/** The key that now holds the secret. */
export interface ImportedAwsKmsKey {
  /** Its ARN. */
  keyId: string;
  /** For `openKey`: `aws-kms:arn:…`. */
  reference: string;
}

/**
 * Imports `"AWS4" + secretAccessKey` as the material of a key of AWS KMS that was made for it: KeySpec HMAC_256, KeyUsage
 * GENERATE_VERIFY_MAC, Origin EXTERNAL. The secret leaves this process only encrypted for the public key that KMS gives for the
 * purpose (RSAES_OAEP_SHA_256, RSA_4096; AWS KMS API reference, GetParametersForImport and ImportKeyMaterial). It does not
 * expire. Then one MAC is compared with one made in software; where they differ the material is deleted again.
 *
 * @param secretAccessKey 1..508 bytes, not changed; AWS decides which lengths it takes
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_IMPORT_VERIFY`, and what `openAwsKmsKey` throws
 * @throws KmsError `ERR_KEY_EXISTS` of a key that has other material, `ERR_KEY_UNSUITABLE` of one whose origin is not EXTERNAL
 * @example
 * const { reference } = await importAwsKmsKey(secret, { keyId: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-…" });
 */
export async function importAwsKmsKey(
  secretAccessKey: Uint8Array,
  { algorithm, ...options }: AwsKmsImportOptions,
): Promise<ImportedAwsKmsKey> {
  const arn = parseKmsArn(String(options.keyId));
  if (!arn || arn.alias) {
    throw invalid("keyId must be the ARN of a key, not of an alias: arn:aws:kms:<region>:<account>:key/<id>");
  }
  const timeout = checkTimeout(options.timeout);
  checkAwsClient("client", options.client, options.clientConfig);
  const key = aws4Key(secretAccessKey, algorithm);
  try {
    const kms = await loadAwsKms("importAwsKmsKey");
    const own = options.client
      ? undefined
      : new kms.KMSClient({ region: arn.region, ...options.clientConfig });
    try {
      const client = own ?? asKmsClient(options.client as AwsKmsClient);
      await checkAwsRegion(client, arn.region);
      const KeyId = arn.arn;
      const call = <T>(operation: string, send: (abortSignal: AbortSignal) => Promise<T>): Promise<T> =>
        callAwsKms({ operation, timeout, signal: undefined, send });
      const given = await call("GetParametersForImport", (abortSignal) =>
        client.send(
          new kms.GetParametersForImportCommand({
            ...{ KeyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_4096" },
          }),
          { abortSignal },
        ),
      );
      const EncryptedKeyMaterial = publicEncrypt(
        {
          key: wrappingKey(given.PublicKey),
          padding: constants.RSA_PKCS1_OAEP_PADDING,
          oaepHash: "sha256",
        },
        key,
      );
      await call("ImportKeyMaterial", (abortSignal) =>
        client.send(
          new kms.ImportKeyMaterialCommand({
            ...{ KeyId, EncryptedKeyMaterial, ImportToken: given.ImportToken },
            ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
          }),
          { abortSignal },
        ),
      );
      if (!(await holds(key, { ...options, client }))) {
        await call("DeleteImportedKeyMaterial", (abortSignal) =>
          client.send(new kms.DeleteImportedKeyMaterialCommand({ KeyId }), { abortSignal }),
        );
        const message = "AWS KMS answered another MAC than the secret gives: the material was deleted again";
        throw new AwsHmacError("ERR_IMPORT_VERIFY", message);
      }
      return { keyId: KeyId, reference: `aws-kms:${KeyId}` };
    } finally {
      own?.destroy();
    }
  } finally {
    wipe(key);
  }
}

/** Whether the key in KMS makes the MACs of `key`. */
async function holds(key: Buffer, { keyId, timeout, client }: AwsKmsKeyOptions): Promise<boolean> {
  const { probeMessage, probeMac } = makeProbe(key);
  const imported = await openAwsKmsKey({ keyId, timeout, client });
  let mac: Uint8Array | undefined;
  try {
    mac = await imported.mac(probeMessage);
    return timingSafeEqual(mac, probeMac);
  } finally {
    wipe(mac);
    await imported.close();
  }
}

/** The public key that KMS wants the material encrypted for. */
function wrappingKey(der: Uint8Array | undefined): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(der ?? []), format: "der", type: "spki" });
    if (key.asymmetricKeyType === "rsa" && Number(key.asymmetricKeyDetails?.modulusLength) >= 4096)
      return key;
  } catch {
    // not a key: the error below says so
  }
  throw new KmsError(
    "ERR_KMS_RESPONSE",
    "AWS KMS GetParametersForImport: no RSA key of 4096 bits came: check the endpoint",
    { operation: "GetParametersForImport", reason: "" },
  );
}
