import { randomBytes } from "node:crypto";
import path from "node:path";
import { importTinkKey } from "../../lib/provision/tink.js";
import { startKms } from "../support/kms.js";
import { localKms } from "../support/local-kms.js";
import { copiesIn, startSearched } from "../support/memory-search.js";
import { describeWith } from "../support/requirements.js";

const program = path.join(__dirname, "..", "support", "tink-memory.cjs");

test("the secret of a keyset is in memory once while its key is open, and not at all when the closed key was collected", async () => {
  const secret = randomBytes(36).toString("base64url");
  const aesKey = randomBytes(32);
  const { keyset } = await importTinkKey(Buffer.from(secret), { aead: localKms(aesKey) });
  const options = JSON.stringify({ keyset, aesKey: aesKey.toString("hex") });
  const searched = startSearched(["--expose-gc", program, options], process.env);
  const copiesAfter = async (command: string): Promise<number> => {
    await searched.after(command);
    return copiesIn(searched.pid, Buffer.from(secret));
  };
  try {
    expect(await copiesAfter("started")).toBe(0);
    expect(await copiesAfter("open")).toBe(1); // in OpenSSL's memory: and the search works
    expect(await copiesAfter("sign")).toBe(1);
    await searched.after("close");
    expect(await copiesAfter("collect")).toBe(0); // Node overwrites the key when it frees it
  } finally {
    searched.end();
  }
});

/** Whole groups of the secret's base64, wherever in a group of three bytes it begins. */
function inBase64(secret: string): Buffer[] {
  return [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)]).toString("base64");
    return Buffer.from(text.slice(4, 44));
  });
}

describeWith(["moto"], "of a keyset that AWS KMS decrypts", () => {
  test("the secret is left neither as it is nor, where JavaScript has its memory, in the base64 of the answer", async () => {
    const kms = await startKms();
    const secret = randomBytes(36).toString("base64url");
    const place = { kek: `aws-kms://${kms.arn}`, clientConfig: kms.clientConfig };
    const { keyset } = await importTinkKey(Buffer.from(secret), place);
    const env = { ...process.env, ...kms.env };
    const searched = startSearched(["--expose-gc", program, JSON.stringify({ keyset, ...place })], env);
    const copiesAfter = async (command: string): Promise<{ secrets: number; base64: number }> => {
      await searched.after(command);
      const inText = inBase64(secret).map((bytes) => copiesIn(searched.pid, bytes, "javascript"));
      const base64 = inText.reduce((sum, copies) => sum + copies);
      return { secrets: copiesIn(searched.pid, Buffer.from(secret)), base64 };
    };
    try {
      expect(await copiesAfter("started")).toEqual({ secrets: 0, base64: 0 });
      expect(await copiesAfter("open")).toEqual({ secrets: 1, base64: 0 });
      await searched.after("close");
      expect(await copiesAfter("collect")).toEqual({ secrets: 0, base64: 0 });
    } finally {
      searched.end();
      await kms.stop();
    }
  }, 60_000);
});
