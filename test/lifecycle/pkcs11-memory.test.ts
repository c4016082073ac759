import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { copiesIn, startSearched } from "../support/memory-search.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

describeWith(["softhsm"], "the memory of a process that uses a PKCS#11 key", () => {
  const { folder, remove } = temporaryFolder("memory");
  const secretFile = path.join(folder, "secret");
  const pinFile = path.join(folder, "pin");
  const secret = randomBytes(30).toString("base64");
  let hsm: SoftHsm;

  beforeAll(async () => {
    hsm = await makeSoftHsm("memory");
    writeFileSync(secretFile, secret, { mode: 0o600 });
    writeFileSync(pinFile, `${hsm.pin}\n`, { mode: 0o600 });
  });
  afterAll(() => {
    hsm?.remove();
    remove();
  });

  // Made anew each time: what lies in this process's memory is not what is searched.
  const dayKey = (): Buffer => createHmac("sha256", `AWS4${secret}`).update("20261125").digest();
  const signingKey = (): Buffer =>
    ["eu-central-1", "s3", "aws4_request"].reduce(
      (key, name) => createHmac("sha256", key).update(name).digest(),
      dayKey(),
    );

  test("has the secret at no time after its import, the PIN while a key is open alone, and derived keys while a signer is", async () => {
    const uri = `pkcs11:token=memory;object=signer?module-path=${hsm.module}&pin-source=file:${pinFile}`;
    const program = path.join(__dirname, "..", "support", "memory.cjs");
    const args = [program, JSON.stringify({ pkcs11: { uri } }), secretFile];
    const searched = startSearched(args, hsm.env);
    const after = async (command: string): Promise<{ secrets: number; pins: number; keys: number }> => {
      await searched.after(command);
      const count = (bytes: string | Buffer): number => copiesIn(searched.pid, Buffer.from(bytes));
      return { secrets: count(secret), pins: count(hsm.pin), keys: count(dayKey()) + count(signingKey()) };
    };
    try {
      const none = { secrets: 0, pins: 0, keys: 0 };
      expect(await after("started")).toEqual(none);
      expect(await after("import")).toEqual(none);
      const open = await after("open");
      expect(open.secrets).toBe(0);
      expect(open.pins).toBeGreaterThan(0); // to log in again with: and the search works
      expect((await after("sign")).keys).toBe(1); // the day's, for the next signing key
      expect((await after("closeSigner")).keys).toBe(0);
      expect(await after("close")).toEqual(none);
    } finally {
      searched.end();
    }
  });
});
