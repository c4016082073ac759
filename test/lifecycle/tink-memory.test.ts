import { randomBytes } from "node:crypto";
import path from "node:path";
import { importTinkKey } from "../../lib/provision/tink.js";
import { localKms } from "../support/local-kms.js";
import { copiesIn, startSearched } from "../support/memory-search.js";

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
