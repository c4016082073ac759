import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { importWrappedTpmKey, type WrapForTpmOptions, wrapForTpm } from "../../../lib/index.js";
import { formatImportablePem, parseImportablePem } from "../../../lib/keys/tpm/importable-pem.js";
import { externalPublicArea } from "../../../lib/keys/tpm/public-area.js";
import { algorithms, tpm2b, uint16, uint32 } from "../../../lib/keys/tpm/structures.js";
import { kdfA, kdfE } from "../../../lib/provision/tpm/kdf.js";
import { formatNote, parseNote } from "../../../lib/provision/tpm/wrapped-file.js";
import { formatTss2Pem } from "../../support/key-file.js";
import { Random } from "../../support/random.js";
import { describeWith } from "../../support/requirements.js";

const secret = Buffer.from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ecc = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pemOf = ({ publicKey }: { publicKey: typeof rsa.publicKey }): string =>
  publicKey.export({ type: "spki", format: "pem" }).toString();
const ekPublic = pemOf(ecc);

describeWith(["openssl"], "the TPM's key derivation", () => {
  /** OpenSSL's `kdf`, in hexadecimal. */
  const openssl = (kind: string, length: number, options: Record<string, string>): string => {
    const given = Object.entries(options).flatMap(([name, value]) => ["-kdfopt", `${name}:${value}`]);
    const printed = execFileSync("openssl", ["kdf", "-keylen", `${length}`, ...given, kind], {
      encoding: "utf8",
    });
    return printed.trim().replaceAll(":", "").toLowerCase();
  };
  const hashes = ["sha256", "sha384", "sha512"] as const;
  const cases = hashes.flatMap((hash) => [16, 32, 48, 64].map((length) => [hash, length] as const));

  test.each(cases)("KDFa with %s, %i bytes, is the counter mode of SP 800-108", (hash, length) => {
    const [key, u, v] = [randomBytes(32), randomBytes(34), randomBytes(7)];
    const hexsalt = Buffer.from("STORAGE").toString("hex");
    const hexinfo = Buffer.concat([u, v]).toString("hex");
    const theirs = { mac: "HMAC", digest: hash, hexkey: key.toString("hex"), hexsalt, hexinfo };
    expect(kdfA(hash, key, "STORAGE", u, v, length * 8).toString("hex")).toBe(
      openssl("KBKDF", length, theirs),
    );
  });

  test.each(cases)("KDFe with %s, %i bytes, is the one-step derivation of SP 800-56C", (hash, length) => {
    const [z, u, v] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const hexinfo = Buffer.concat([Buffer.from("DUPLICATE\0"), u, v]).toString("hex");
    const theirs = { digest: hash, hexkey: z.toString("hex"), hexinfo };
    expect(kdfE(hash, z, "DUPLICATE", u, v, length * 8).toString("hex")).toBe(
      openssl("SSKDF", length, theirs),
    );
  });
});

describe("wrapForTpm", () => {
  const refused = (options: object): Promise<string> => wrapForTpm(secret, options as WrapForTpmOptions);
  const curveOf = (namedCurve: string): string => pemOf(generateKeyPairSync("ec", { namedCurve }));
  const short = generateKeyPairSync("rsa", { modulusLength: 1024 });

  /** A TPM2B_PUBLIC of an ECC storage key, with something else in it. */
  const area = (change: { name?: number; attributes?: number; cipher?: Buffer; curve?: number }): Buffer => {
    const { x = "", y = "" } = ecc.publicKey.export({ format: "jwk" });
    return tpm2b(
      ...[uint16(algorithms.ecc), uint16(change.name ?? algorithms.sha256)],
      ...[uint32(change.attributes ?? 0x00030472), tpm2b(), change.cipher ?? aes(128)],
      ...[uint16(algorithms.none), uint16(change.curve ?? 3), uint16(algorithms.none)],
      ...[tpm2b(Buffer.from(x, "base64url")), tpm2b(Buffer.from(y, "base64url"))],
    );
  };
  const aes = (bits: number, mode: number = algorithms.cfb): Buffer =>
    Buffer.concat([uint16(algorithms.aes), uint16(bits), uint16(mode)]);

  test.each([128, 192, 256])("takes a storage key with AES-%i", async (bits) => {
    const file = await refused({ ekPublic: area({ cipher: aes(bits) }), parent: 0x81000001 });
    expect(parseImportablePem(file)).toMatchObject({ parent: 0x81000001, primary: "ecc", emptyAuth: true });
  });

  test.each<[string, object, string]>([
    ["nothing", {}, "ekPublic cannot be used"],
    ["an empty key", { ekPublic: "" }, "ekPublic cannot be used"],
    ["a number", { ekPublic: 7 }, "ekPublic cannot be used"],
    ["no key", { ekPublic: Buffer.from("hello") }, "ekPublic cannot be used: it is no public area"],
    ["too long a one", { ekPublic: Buffer.alloc(70000) }, "too long"],
    [
      "DER of something else",
      { ekPublic: Buffer.of(0x30, 3, 1, 2, 3) },
      "ekPublic cannot be used: it must be",
    ],
    ["a private key", { ekPublic: ecc.privateKey.export({ type: "pkcs8", format: "pem" }) }, "it must be"],
    [
      "a broken certificate",
      { ekPublic: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" },
      "it must be",
    ],
    ["RSA 1024", { ekPublic: pemOf(short) }, "no endorsement key is RSA 1024"],
    ["another curve", { ekPublic: curveOf("secp256k1") }, "no endorsement key is ec secp256k1"],
    ["Ed25519", { ekPublic: pemOf(generateKeyPairSync("ed25519")) }, "no endorsement key is ed25519"],
    ["a signing key", { ekPublic: externalPublicArea(ecc.publicKey) }, "no storage key"],
    ["one that signs too", { ekPublic: area({ attributes: 0x00070472 }) }, "no storage key"],
    ["SHA-1 in its name", { ekPublic: area({ name: algorithms.sha1 }) }, "name algorithm"],
    ["an unknown hash in its name", { ekPublic: area({ name: 0x27 }) }, "name algorithm"],
    ["another cipher mode", { ekPublic: area({ cipher: aes(128, 0x42) }) }, "AES in CFB mode"],
    ["no cipher", { ekPublic: area({ cipher: uint16(algorithms.none) }) }, "AES in CFB mode"],
    ["AES of 64 bits", { ekPublic: area({ cipher: aes(64) }) }, "AES in CFB mode"],
    ["an unknown curve", { ekPublic: area({ curve: 0x10 }) }, "curve"],
    ["a point off its curve", { ekPublic: area({ curve: 0x04 }) }, "ekPublic cannot be used"],
    ["no place for such a key", { ekPublic: area({}) }, "parent must say where"],
    ["P-384, whose place nobody knows", { ekPublic: curveOf("P-384") }, "parent must say where"],
    ["a place of another kind", { ekPublic, parent: "ek-rsa" }, "different kinds"],
    ["an unknown place", { ekPublic, parent: "nowhere" }, "parent must be"],
    ["a password that is not set", { ekPublic, password: undefined }, "password is undefined"],
    ["too long a password", { ekPublic, password: "p".repeat(33) }, "password must have at most 32 bytes"],
    ["noDA: 1", { ekPublic, noDA: 1 }, "noDA must be"],
    ["PCRs without digest", { ekPublic, policy: [{ pcr: { indices: [0] } }] }, "policy[0].pcr.digest"],
    ["an empty policy", { ekPublic, policy: [] }, "policy must be"],
  ])("refuses %s", async (_what, options, message) => {
    await expect(refused(options)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(message),
    });
  });

  test.each(["", "with space", "k".repeat(509)])("refuses the secret %j", async (text) => {
    await expect(wrapForTpm(Buffer.from(text), { ekPublic })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining("secretAccessKey"),
    });
  });

  test("gives another file each time, in which neither secret nor password can be found", async () => {
    const password = "correct horse";
    const files = await Promise.all([1, 2].map(() => wrapForTpm(secret, { ekPublic, password })));
    const [first, second] = files.map((file) => parseImportablePem(file));
    for (const part of ["publicArea", "duplicate", "seed", "description"] as const) {
      expect(first?.[part]).not.toEqual(second?.[part]);
      for (const hidden of [secret, Buffer.from(password)]) {
        expect(Buffer.from(first?.[part] as Uint8Array).includes(hidden)).toBe(false);
      }
    }
  });

  test("any bytes for ekPublic give an error or a file, and nothing else", async () => {
    const random = new Random(20261125);
    const forms = [area({}), Buffer.from(ekPublic), ecc.publicKey.export({ type: "spki", format: "der" })];
    const codes = new Set<string>();
    for (let round = 0; round < 1500; round++) {
      const bytes = Buffer.from(random.pick(forms));
      for (let flips = 1 + random.below(3); flips > 0; flips--)
        bytes[random.below(bytes.length)] = random.below(256);
      const cut = random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
      const result = refused({ ekPublic: cut, parent: 0x81000001 });
      codes.add(
        await result.then(
          () => "file",
          (error: { code?: string }) => String(error.code ?? error),
        ),
      );
    }
    expect([...codes].sort()).toEqual(["ERR_INVALID_ARGUMENT", "file"]);
  });
});

describe("importWrappedTpmKey", () => {
  const nowhere = { tcti: "swtpm:port=1", output: "pem" } as const;
  const taken = (file: unknown, options: object = {}): Promise<unknown> =>
    importWrappedTpmKey(file as string, { ...nowhere, ...options });
  const wrapped = wrapForTpm(secret, { ekPublic });
  const loadable = formatTss2Pem(
    { publicArea: Buffer.of(0, 1, 5), privateArea: Buffer.of(0, 1, 6), parent: 0x81000001, primary: "ecc" },
    true,
  );

  test.each<[string, unknown, string]>([
    ["no text", 7, "ERR_INVALID_ARGUMENT"],
    ["an empty text", "", "ERR_PEM_INVALID"],
    ["a key that is loaded", loadable, "ERR_PEM_INVALID"],
    ["bytes of something else", Buffer.from("hello"), "ERR_PEM_INVALID"],
  ])("refuses %s", async (_what, file, code) => {
    await expect(taken(file)).rejects.toMatchObject({ code });
  });

  test.each<[object, string]>([
    [{ output: "der" }, 'output must be "pem"'],
    [{ handle: 0x81000001 }, "either handle or output"],
    [{ output: undefined, handle: 0x80000000 }, "handle must be a persistent handle"],
    [{ output: undefined, handle: "free", parent: "platform" }, "parent must be in the owner"],
    [{ parent: "ek" }, "parent must be"],
    [{ auth: {} }, "auth.password must be"],
    [{ verify: 1 }, "verify must be"],
    [{ parentAuth: {} }, "parentAuth must have"],
    [{ saltKey: { handle: "ek" } }, "saltKey.handle must be"],
    [{ timeout: 0 }, "timeout must be"],
    [{ tcti: "" }, "tcti must be"],
  ])("refuses the options %j", async (options, message) => {
    await expect(taken(await wrapped, options)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(message),
    });
  });

  test("any bytes give an error of ours", async () => {
    const random = new Random(3);
    const lines = (await wrapped).split("\n");
    const [begin = "", end = ""] = [lines[0], lines.at(-2)];
    const der = Buffer.from(lines.slice(1, -2).join(""), "base64");
    const codes = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(der);
      for (let flips = 1 + random.below(3); flips > 0; flips--)
        bytes[random.below(bytes.length)] = random.below(256);
      const cut = random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes;
      const text = [begin, cut.toString("base64"), end].join("\n");
      codes.add(
        await taken(text).then(
          () => "key",
          (error: { code?: string }) => String(error.code ?? error),
        ),
      );
    }
    const ours = ["ERR_INVALID_ARGUMENT", "ERR_KEY_UNSUITABLE", "ERR_PEM_INVALID", "ERR_TPM_CONNECTION"];
    expect(["ERR_TPM_FILE_INVALID", ...ours]).toEqual(expect.arrayContaining([...codes]));
    expect(codes).toContain("ERR_PEM_INVALID");
    expect(codes).toContain("ERR_TPM_CONNECTION");
  });
});

describe("the note in a wrapped key's file", () => {
  const probe = { probeMessage: Buffer.alloc(32, 1), probeMac: Buffer.alloc(32, 2) };
  const [message, mac] = ["01".repeat(32), "02".repeat(32)];

  test.each([
    [{}, "aws-hmac key"],
    [{ parent: "ek-rsa" as const }, "aws-hmac key; parent=ek-rsa"],
    [{ probe }, `aws-hmac key; hmac-sha256(${message})=${mac}`],
    [{ parent: "ek-ecc" as const, probe }, `aws-hmac key; parent=ek-ecc; hmac-sha256(${message})=${mac}`],
  ])("is read as it was written", (note, text) => {
    expect(formatNote(note)).toBe(text);
    expect(parseNote(text)).toEqual(note);
  });

  test("a message that could be a date is no message", () => {
    const date = Buffer.from("20261125").toString("hex");
    expect(parseNote(`aws-hmac key; hmac-sha256(${date})=${mac}`)).toEqual({});
    expect(parseNote(`aws-hmac key; hmac-sha256(${message})=${mac.slice(2)}`)).toEqual({});
    expect(parseNote("another text")).toEqual({});
  });
});

test("an importable key's file is read as it was written, with a policy that nobody understands", () => {
  const file = {
    ...{ publicArea: Buffer.of(0, 1, 5), duplicate: Buffer.of(0, 1, 6), seed: Buffer.of(0, 1, 7) },
    ...{ parent: 0x40000001, primary: "rsa" as const, emptyAuth: true, description: "Schlüssel" },
    policy: { policy: Buffer.from("3000", "hex") },
  };
  expect(parseImportablePem(formatImportablePem(file))).toEqual(file);
  const bare = { ...file, emptyAuth: false, description: undefined, policy: undefined };
  expect(parseImportablePem(formatImportablePem(bare))).toEqual(bare);
});
