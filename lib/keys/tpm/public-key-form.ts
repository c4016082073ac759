import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { DerReader, tags } from "./der.js";

/** A public key as somebody has it: a key by itself, or what a TPM calls its public area, a TPMT_PUBLIC. */
export type PublicKeyForm = { key: KeyObject } | { area: Buffer };

/** How DER begins; neither a TPM2B_PUBLIC nor a TPMT_PUBLIC does. */
const derSequence = 0x30;

/**
 * Reads a public key: a PEM (`-----BEGIN PUBLIC KEY-----`) or DER (SubjectPublicKeyInfo), or a marshalled TPM2B_PUBLIC
 * or TPMT_PUBLIC, in which nothing is checked yet.
 *
 * @param certificates whether an X.509 certificate will do as well, PEM or DER, whose signature nobody checks here
 * @returns undefined for anything else
 */
export function readPublicKeyForm(given: unknown, certificates = false): PublicKeyForm | undefined {
  if (typeof given !== "string" && !(given instanceof Uint8Array)) return undefined;
  const bytes = Buffer.from(given as Uint8Array);
  if (typeof given !== "string" && bytes[0] !== derSequence && !bytes.includes("-----BEGIN ")) {
    const isSized = bytes.length > 2 && bytes.readUInt16BE(0) === bytes.length - 2;
    return { area: isSized ? bytes.subarray(2) : bytes };
  }
  const key = readKey(bytes) ?? (certificates ? readCertificate(bytes) : undefined);
  return key && { key };
}

/** What Node's parsers say of anything else tells no more. */
function readKey(bytes: Buffer): KeyObject | undefined {
  try {
    if (bytes[0] === derSequence) return createPublicKey({ key: bytes, format: "der", type: "spki" });
    // Node would also take a private key, or a certificate.
    return bytes.includes("-----BEGIN PUBLIC KEY-----") ? createPublicKey(bytes) : undefined;
  } catch {
    return undefined;
  }
}

function readCertificate(bytes: Buffer): KeyObject | undefined {
  try {
    const certificate = new X509Certificate(bytes);
    return readOaepKey(certificate.raw) ?? certificate.publicKey;
  } catch {
    return undefined;
  }
}

/** id-RSAES-OAEP (RFC 4055, 4.1), 1.2.840.113549.1.1.7. */
const rsaesOaep = "2a864886f70d010107";

/**
 * The key in a certificate that makers of TPMs give to RSA endorsement keys: it says that the key is for RSAES-OAEP, which
 * OpenSSL cannot read. The key is an RSAPublicKey all the same.
 *
 * @returns undefined for a key of any other kind
 * @throws DerError for what is no certificate (RFC 5280, 4.1)
 */
function readOaepKey(certificate: Buffer): KeyObject | undefined {
  const outer = new DerReader(new DerReader(certificate).read(tags.sequence, "certificate"));
  const body = new DerReader(outer.read(tags.sequence, "tbsCertificate"));
  body.readOptional(tags.explicit(0), "version");
  body.read(tags.integer, "serialNumber");
  for (const field of ["signature", "issuer", "validity", "subject"]) body.read(tags.sequence, field);
  const info = new DerReader(body.read(tags.sequence, "subjectPublicKeyInfo"));
  const algorithm = new DerReader(info.read(tags.sequence, "algorithm"));
  const oid = algorithm.read(tags.objectIdentifier, "algorithm").toString("hex");
  if (oid !== rsaesOaep) return undefined;
  const key = info.read(tags.bitString, "subjectPublicKey").subarray(1); // after the number of unused bits, 0
  return createPublicKey({ key, format: "der", type: "pkcs1" });
}
