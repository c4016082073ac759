import { constants, type KeyObject, type VerifyKeyObjectInput, verify } from "node:crypto";
import { DerError, DerReader, tags } from "./der.js";
import { leftPadded, type TpmPublicKey } from "./public-area.js";
import { algorithms, hashName, StructureError, StructureReader, tpm2b, uint16 } from "./structures.js";

/** The two numbers of an ECDSA signature. */
interface Ecdsa {
  r: Buffer;
  s: Buffer;
}

/**
 * A signature as the TPM takes it, a marshalled TPMT_SIGNATURE (TCG TPM 2.0 Part 2, 11.3.4), with the name
 * algorithm of the key as its hash.
 *
 * @param signature what `openssl dgst -sign` writes (RSA PKCS#1 v1.5 or PSS, ECDSA in DER), or a marshalled TPMT_SIGNATURE
 * @param message what was signed; it is hashed here
 * @returns undefined when it is not this key's signature of the message
 */
export function tpmSignature(
  signature: Uint8Array,
  { key, nameAlgorithm }: TpmPublicKey,
  message: Uint8Array,
): Buffer | undefined {
  const hash = hashName(nameAlgorithm);
  if (hash === undefined) return undefined;
  const isValid = (input: VerifyKeyObjectInput, bytes: Buffer): boolean =>
    verify(hash, message, input, bytes);
  const head = (scheme: number): Buffer => Buffer.concat([uint16(scheme), uint16(nameAlgorithm)]);
  if (key.asymmetricKeyType === "rsa") {
    const bytes = rsaBytes(Buffer.from(signature), head);
    const scheme = rsaSchemes.find(([, padding]) => isValid({ key, ...padding }, bytes))?.[0];
    return scheme === undefined ? undefined : Buffer.concat([head(scheme), tpm2b(bytes)]);
  }
  const numbers = readEcdsa(Buffer.from(signature), head(algorithms.ecdsa));
  if (numbers === undefined) return undefined;
  const length = coordinateLength(key);
  const [r, s] = [leftPadded(numbers.r, length), leftPadded(numbers.s, length)];
  if (!isValid({ key, dsaEncoding: "ieee-p1363" }, Buffer.concat([r, s]))) return undefined;
  return Buffer.concat([head(algorithms.ecdsa), tpm2b(r), tpm2b(s)]);
}

const rsaSchemes = [
  [algorithms.rsassa, { padding: constants.RSA_PKCS1_PADDING }],
  [
    algorithms.rsapss,
    { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO },
  ],
] as const;

/** Without the head of a TPMT_SIGNATURE, where there is one. */
function rsaBytes(signature: Buffer, head: (scheme: number) => Buffer): Buffer {
  const size = uint16(Math.max(signature.length - 6, 0));
  const isMarshalled = rsaSchemes.some(([scheme]) =>
    Buffer.concat([head(scheme), size]).equals(signature.subarray(0, 6)),
  );
  return isMarshalled ? signature.subarray(6) : signature;
}

function coordinateLength(key: KeyObject): number {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url").length;
}

function readEcdsa(signature: Buffer, head: Buffer): Ecdsa | undefined {
  try {
    return signature.subarray(0, 4).equals(head) ? readTpmEcdsa(signature) : readDerEcdsa(signature);
  } catch (error) {
    if (error instanceof DerError || error instanceof StructureError) return undefined;
    throw error;
  }
}

function readTpmEcdsa(signature: Buffer): Ecdsa {
  const reader = new StructureReader(signature.subarray(4));
  const numbers = { r: reader.sized("signatureR"), s: reader.sized("signatureS") };
  reader.end("the signature");
  return numbers;
}

function readDerEcdsa(signature: Buffer): Ecdsa {
  const outer = new DerReader(signature);
  const inner = new DerReader(outer.read(tags.sequence, "the signature"));
  outer.end("the signature");
  const numbers = { r: inner.read(tags.integer, "r"), s: inner.read(tags.integer, "s") };
  inner.end("s");
  return numbers;
}
