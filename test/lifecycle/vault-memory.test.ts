import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { type Bao, startBao } from "../support/bao.js";
import { copiesIn, startSearched } from "../support/memory-search.js";
import { describeWith } from "../support/requirements.js";

describeWith(["openbao"], "the memory of a process that uses a key in Vault or OpenBao", () => {
  const secret = randomBytes(30).toString("base64");
  const servers: Bao[] = [];
  afterAll(async () => {
    for (const server of servers) await server.stop();
  });

  // Made anew each time: what lies in this process's memory is not what is searched.
  const mac = (text: string): Buffer => createHmac("sha256", `AWS4${secret}`).update(text).digest();
  const dayKey = (): Buffer => mac("20261125");
  const signingKey = (): Buffer =>
    ["eu-central-1", "s3", "aws4_request"].reduce(
      (key, name) => createHmac("sha256", key).update(name).digest(),
      dayKey(),
    );

  test.each([false, true])(
    "has the secret at no time after its import, and derived keys while a signer is; TLS: %s",
    async (tls) => {
      const bao = await startBao({ tls });
      servers.push(bao);
      const tokenFile = path.join(bao.folder, "token");
      const secretFile = path.join(bao.folder, "secret");
      writeFileSync(tokenFile, bao.token, { mode: 0o600 });
      writeFileSync(secretFile, secret, { mode: 0o600 });
      const vault = { address: bao.address, name: "signer", tokenFile, caFile: bao.caFile };
      const program = path.join(__dirname, "..", "support", "memory.cjs");
      const args = [program, JSON.stringify({ vault }), secretFile];
      const searched = startSearched(args, process.env);
      const { pid } = searched;
      const after = async (command: string): Promise<{ secrets: number; keys: number }> => {
        await searched.after(command);
        return { secrets: copiesIn(pid, Buffer.from(secret)), keys: copiesIn(pid, [dayKey(), signingKey()]) };
      };
      try {
        const none = { secrets: 0, keys: 0 };
        expect(await after("started")).toEqual(none);
        expect(await after("import")).toEqual(none);
        expect(await after("open")).toEqual(none);
        expect(await after("sign")).toEqual({ secrets: 0, keys: 1 }); // the day's: and the search works
        expect(await after("closeSigner")).toEqual(none);
        expect(await after("days")).toEqual(none);
        // Node itself leaves one: on the stack, where it decrypts, or where it has freed what it read. A part of each text,
        // so that a piece of a string shows too.
        const days = Array.from({ length: 20 }, (_, day) => mac(`day ${day}`));
        const texts = days.map((day) => Buffer.from(day.toString("base64").slice(4, 36)));
        expect(copiesIn(pid, days)).toBe(0);
        expect(copiesIn(pid, texts)).toBeLessThanOrEqual(3);
        expect(await after("close")).toEqual(none);
      } finally {
        searched.end();
      }
    },
  );
});
