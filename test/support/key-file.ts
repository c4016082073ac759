import { der, tags } from "../../lib/keys/tpm/der.js";

/** The bytes of these hexadecimal digits. */
export const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(""), "hex");

/** A TPMKey as a file. */
export const pemOf = (key: Buffer): string =>
  `-----BEGIN TSS2 PRIVATE KEY-----\n${key.toString("base64")}\n-----END TSS2 PRIVATE KEY-----\n`;

/** The TPMKey in a file. */
export const derOf = (pem: string): Buffer =>
  Buffer.from(pem.trimEnd().split("\n").slice(1, -1).join(""), "base64");

/** The least that may be in a key file. */
export const areas = {
  publicArea: hex("000a00080000000000000000"),
  privateArea: hex("0003000102"),
};

/** A key file with these optional fields. */
export const keyFile = (...fields: Buffer[]): string =>
  pemOf(
    der(
      tags.sequence,
      der(tags.objectIdentifier, hex("6781050a0103")),
      ...fields,
      der(tags.integer, hex("40000001")),
      der(tags.octetString, areas.publicArea),
      der(tags.octetString, areas.privateArea),
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
