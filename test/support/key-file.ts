import { der, tags } from "../../lib/keys/tpm/der.js";
import { formatFilePolicy } from "../../lib/keys/tpm/policy/file-format.js";
import type { Step } from "../../lib/keys/tpm/policy/steps.js";
import { formatTpmKey, type TpmKeyBlobs } from "../../lib/keys/tpm/tss2-pem.js";

/** The bytes of these hexadecimal digits. */
export const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(""), "hex");

/** A TPMKey as a file. */
export const pemOf = (key: Buffer): string =>
  `-----BEGIN TSS2 PRIVATE KEY-----\n${key.toString("base64")}\n-----END TSS2 PRIVATE KEY-----\n`;

/** The TPMKey in a file. */
export const derOf = (pem: string): Buffer =>
  Buffer.from(pem.trimEnd().split("\n").slice(1, -1).join(""), "base64");

/** TPM2B_PUBLIC and TPM2B_PRIVATE. */
export interface Areas {
  publicArea: Uint8Array;
  privateArea: Uint8Array;
}

/** The least that may be in a key file. */
export const areas: Areas = { publicArea: hex("000a00080000000000000000"), privateArea: hex("0003000102") };

/** A key file with these optional fields. */
export const keyFile = (...fields: Buffer[]): string => keyFileOf(areas, ...fields);

/** A key file of a key under the owner hierarchy's primary, with these optional fields. */
export const keyFileOf = ({ publicArea, privateArea }: Areas, ...fields: Buffer[]): string =>
  pemOf(
    der(
      tags.sequence,
      der(tags.objectIdentifier, hex("6781050a0103")),
      ...fields,
      der(tags.integer, hex("40000001")),
      der(tags.octetString, publicArea),
      der(tags.octetString, privateArea),
    ),
  );

/** TPMPolicy, of a command code and its parameters in hexadecimal. */
export const command = (code: string, parameters = ""): Buffer =>
  der(
    tags.sequence,
    der(tags.explicit(0), der(tags.integer, hex(code))),
    der(tags.explicit(1), der(tags.octetString, hex(parameters))),
  );

/** The field `policy`. */
export const policyField = (...commands: Buffer[]): Buffer =>
  der(tags.explicit(1), der(tags.sequence, ...commands));

/** The field `authPolicy`. */
export const signedField = (...signed: Buffer[]): Buffer =>
  der(tags.explicit(3), der(tags.sequence, ...signed));

/** TPMAuthPolicy. */
export const signedPolicy = (name: string | undefined, ...commands: Buffer[]): Buffer =>
  der(
    tags.sequence,
    ...(name === undefined ? [] : [der(tags.explicit(0), der(tags.utf8String, Buffer.from(name)))]),
    der(tags.explicit(1), der(tags.sequence, ...commands)),
  );

/** What this package writes for a key. */
export const formatTss2Pem = (key: TpmKeyBlobs, emptyAuth: boolean, policy: readonly Step[] = []): string =>
  formatTpmKey({ ...key, kind: "loadable", emptyAuth, policy: formatFilePolicy(policy) });
