import { generateKeyPairSync } from "node:crypto";
import { openTpmKey, type TpmKeyOptions } from "../../../lib/keys/tpm.js";
import { listTpmKeys, removeTpmKey } from "../../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../../lib/provision/tpm.js";

const handle = 0x81008001;
const blobs = { publicArea: Buffer.of(0, 1, 5), privateArea: Buffer.of(0, 1, 6) };

/** A TPM2B_PUBLIC as far as it is looked at: its size, a type and SHA-256 as name algorithm. */
const area = Buffer.of(0, 5, 0, 1, 0, 0x0b, 0);

function pemOf(type: "rsa" | "ed25519", modulusLength = 0): { public: string; private: string } {
  const keys = type === "rsa" ? generateKeyPairSync(type, { modulusLength }) : generateKeyPairSync(type);
  return {
    public: keys.publicKey.export({ type: "spki", format: "pem" }).toString(),
    private: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

describe("options of TPM keys", () => {
  const opening = (options: object): Promise<unknown> => openTpmKey(options as TpmKeyOptions);
  const importing = (options: object): Promise<unknown> =>
    importTpmKey(Buffer.from("k".repeat(40)), options as { handle: number });

  test.each([
    [{}, "exactly one of handle, pem, pemFile, contextFile, blobs"],
    [{ handle, pem: "x" }, "exactly one of handle, pem, pemFile, contextFile, blobs"],
    [{ contextFile: "x", blobs }, "exactly one of handle, pem, pemFile, contextFile, blobs"],
    [{ contextFile: 7 }, "contextFile must be a path"],
    [{ blobs: null }, "blobs.publicArea must be a Uint8Array or a path"],
    [{ blobs: { publicArea: blobs.publicArea } }, "blobs.privateArea must be a Uint8Array or a path"],
    [{ blobs: { ...blobs, privateArea: "" } }, "blobs.privateArea must be a path"],
    [{ handle, parent: "owner" }, "parent and parentAuth are for"],
    [{ contextFile: "x", parentAuth: { password: "p" } }, "parent and parentAuth are for"],
    [{ blobs, parent: "storage" }, "parent must be a persistent handle or one of: ek-ecc, ek-rsa, owner"],
    [{ blobs, parent: "toString" }, "parent must be a persistent handle or one of"],
    [{ blobs, parent: null }, "parent must be a persistent handle or one of"],
    [{ blobs, parent: 0x40000001 }, "parent must be a persistent handle, 0x81000000..0x81ffffff"],
    [{ blobs, parentAuth: {} }, "parentAuth must have"],
    [{ blobs, parentAuth: null }, "parentAuth must have"],
    [{ blobs, parentAuth: { password: undefined } }, "parentAuth must have"],
    [{ blobs, parentAuth: { password: 7 } }, "parentAuth.password must be"],
    [{ blobs, parentAuth: { password: "p".repeat(65) } }, "parentAuth.password must have at most 64 bytes"],
    [
      { blobs, parentAuth: { password: "p", hierarchyPassword: "p".repeat(65) } },
      "parentAuth.hierarchyPassword must have at most 64 bytes",
    ],
    [{ handle, saltKey: null }, "saltKey.handle must be a persistent handle or one of"],
    [{ handle, saltKey: { handle: 0x80000001 } }, "saltKey.handle must be a persistent handle, 0x81000000"],
    [{ handle, saltKey: { handle, name: "000b00" } }, "saltKey.name must be"],
    [{ handle, saltKey: { handle, name: `0004${"0".repeat(40)}` } }, "saltKey.name must be"],
    [{ handle, saltKey: { handle, name: `000b${"x".repeat(64)}` } }, "saltKey.name must be"],
    [{ handle, saltKey: { handle, name: "" } }, "saltKey.name must be"],
    [{ handle, saltKey: { handle, name: Buffer.alloc(34) } }, "saltKey.name must be"],
    [{ handle, saltKey: { handle, publicKey: 7 } }, "saltKey.publicKey must be"],
    [{ handle, saltKey: { handle, publicKey: "" } }, "saltKey.publicKey must be"],
    [{ handle, saltKey: { handle, publicKey: Buffer.of(0, 1, 5) } }, "saltKey.publicKey must be"],
    [
      { handle, saltKey: { handle, publicKey: Buffer.of(0, 5, 0, 8, 0, 0x0b, 0) } },
      "saltKey.publicKey must be",
    ],
    [{ handle, saltKey: { handle, publicKey: Buffer.of(0x30, 0x03, 1, 2, 3) } }, "saltKey.publicKey must be"],
    [{ handle, saltKey: { handle, publicKey: pemOf("rsa", 512).private } }, "saltKey.publicKey must be"],
    [{ handle, saltKey: { handle, publicKey: pemOf("ed25519").public } }, "saltKey.publicKey must be"],
    [{ handle, saltKey: { handle, publicKey: area, name: `000b${"0".repeat(64)}` } }, "saltKey.name is not"],
    [{ handle, saltKey: { handle, hierarchyPassword: "p" } }, "saltKey.hierarchyPassword is for a primary"],
    [{ handle, saltKey: { handle: "owner", hierarchyPassword: 7 } }, "saltKey.hierarchyPassword must be"],
    [{ handle, saltKey: { handle }, encryption: "none" }, 'saltKey is for encryption: "session"'],
    [{ handle: 0x80000001 }, "handle must be"],
    [{ handle: "0x81008001" }, "handle must be"],
    [{ pem: 7 }, "pem must be"],
    [{ pemFile: "" }, "pemFile must be"],
    [{ handle, tcti: "" }, "tcti must be"],
    [{ handle, tcti: null }, "tcti must be"],
    [{ handle, timeout: 0 }, "timeout must be"],
    [{ handle, encryption: "aes" }, "encryption must be"],
    [{ handle, auth: { password: "x", mode: "PLAIN" } }, "auth.mode must be"],
    [{ handle, auth: { password: 1234 } }, "auth.password must be"],
    [{ handle, auth: { password: undefined } }, "auth.password must be"],
    [{ handle, auth: { password: "p".repeat(33) } }, "auth.password must have at most 32 bytes"],
  ])("openTpmKey(%j): %s", async (options, message) => {
    await expect(opening(options)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(message),
    });
  });

  test.each([
    [{}, "either handle or output"],
    [{ handle, output: "pem" }, "either handle or output"],
    [{ output: "der" }, "output must be"],
    [{ handle: 0x81800000 }, "handle must be a persistent handle, 0x81000000..0x817fffff"],
    [{ output: "pem", auth: { password: Buffer.alloc(33, 1) } }, "auth.password must have at most 32 bytes"],
    [{ handle, auth: { password: undefined } }, "auth.password must be"],
    [{ handle, auth: "the password itself" }, "auth.password must be"],
    [{ output: "pem", timeout: Number.NaN }, "timeout must be"],
    [{ handle: "any" }, "handle must be"],
    [{ handle: 0 }, "handle must be"],
    [{ handle: "free", output: "pem" }, "either handle or output"],
    [{ handle: "free", noDA: 1 }, "noDA must be"],
    [{ handle, ownerAuth: { password: undefined } }, "ownerAuth.password must be"],
    [{ handle, ownerAuth: { password: "p".repeat(65) } }, "ownerAuth.password must have at most 64 bytes"],
    [{ handle, ownerAuth: { password: "p", mode: "clear" } }, "ownerAuth.mode must be"],
  ])("importTpmKey(%j): %s", async (options, message) => {
    await expect(importing(options)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(message),
    });
  });

  test("listTpmKeys and removeTpmKey check theirs too", async () => {
    const refused = (option: string): object => ({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(option),
    });
    await expect(listTpmKeys({ tcti: "" })).rejects.toMatchObject(refused("tcti"));
    await expect(listTpmKeys({ timeout: 0 })).rejects.toMatchObject(refused("timeout"));
    await expect(removeTpmKey({ handle: 0x81800000 })).rejects.toMatchObject(refused("handle"));
    await expect(removeTpmKey({ handle, force: "yes" as unknown as boolean })).rejects.toMatchObject(
      refused("force"),
    );
    await expect(removeTpmKey({ handle, ownerAuth: { password: "p".repeat(65) } })).rejects.toMatchObject(
      refused("ownerAuth.password"),
    );
  });
});
