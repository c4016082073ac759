import { removeTpmKey, type TpmRemoveOptions } from "../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { commands } from "../support/interposer.js";
import { type Ask, codeOf, message, withRelay } from "../support/relay.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, handle, macOf, secret, tpmSuite } from "../support/tpm-suite.js";
import { toolsKey } from "../support/tpm-tools-key.js";

const owner = 0x40000001;

/** TPM2_EvictControl by the owner, whose password is empty. */
function evict(object: number, persistent: number): Buffer {
  const password = Buffer.from("000000094000000900000000" + "00", "hex"); // 9 bytes: TPM_RS_PW and nothing
  const command = message(commands.evictControl, owner, object, password, persistent);
  command.writeUInt16BE(0x8002); // TPM_ST_SESSIONS
  return command;
}

describeWith(["swtpm", "tpm2-tools"], "another program is faster", () => {
  const suite = tpmSuite();
  const others = toolsKey(suite);
  const theirs = 0x80000000;
  let theirName: string | undefined;
  const nameAt = (object: number): string | undefined =>
    /name: (\w+)/.exec(suite.tool("tpm2_readpublic", "-c", `0x${object.toString(16)}`))?.[1];
  const remove = (persistent: number): string =>
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", `0x${persistent.toString(16)}`);

  beforeAll(() => {
    others.createPrimary("-C", "o", "-G", "ecc");
    others.create("parent.ctx");
  });

  /** Lets others do something right before our first TPM2_EvictControl; their key is in the TPM meanwhile. */
  async function besides(
    meanwhile: (ask: Ask) => Promise<Buffer>,
    use: (tcti: string) => Promise<void>,
  ): Promise<void> {
    suite.tool("tpm2_readpublic", "-c", "k.ctx"); // leaves it there
    theirName = nameAt(theirs);
    try {
      await withRelay(suite.tcti, async ({ tcti, answer }) => {
        let done = false;
        answer(async (command, ask) => {
          if (!done && codeOf(command) === commands.evictControl) {
            done = true;
            expect(codeOf(await meanwhile(ask))).toBe(0);
          }
          return ask(command);
        });
        await use(tcti);
        expect(done).toBe(true);
      });
    } finally {
      suite.tool("tpm2_flushcontext", "-t");
    }
  }

  test("and takes the handle that was the first free one: the next is taken", async () => {
    const first = 0x81000000;
    await besides(
      (ask) => ask(evict(theirs, first)),
      async (tcti) => {
        const made = await importTpmKey(Buffer.from(secret), { tcti, handle: "free" });
        expect(made.handle).toBe(first + 1);
      },
    );
    expect(nameAt(first)).toBe(theirName);
    expect(await macOf(await suite.open({ handle: first + 1 }), day)).toBe(expected(day));
    remove(first);
    remove(first + 1);
  });

  test("and takes the handle that was asked for: theirs stays", async () => {
    await besides(
      (ask) => ask(evict(theirs, handle)),
      async (tcti) => {
        await expect(importTpmKey(Buffer.from(secret), { tcti, handle })).rejects.toMatchObject({
          ...{ name: "TpmError", code: "ERR_TPM_HANDLE_IN_USE", operation: "TPM2_EvictControl" },
        });
      },
    );
    expect(nameAt(handle)).toBe(theirName);
    remove(handle);
  });

  test.each<Partial<TpmRemoveOptions>>([
    {},
    { force: true },
    { ownerAuth: { password: "", mode: "plain" } },
    { ownerAuth: { password: "", mode: "plain" }, force: true },
  ])("and puts another key where one is to be removed: it stays (%j)", async (options) => {
    await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle });
    await besides(
      async (ask) => {
        await ask(evict(handle, handle));
        return ask(evict(theirs, handle));
      },
      async (tcti) => {
        await expect(removeTpmKey({ tcti, handle, ...options })).rejects.toMatchObject({
          ...{ name: "TpmError", code: "ERR_KEY_NOT_FOUND", operation: "TPM2_EvictControl" },
          message: expect.stringContaining("another program"),
        });
      },
    );
    expect(nameAt(handle)).toBe(theirName);
    await removeTpmKey({ tcti: suite.tcti, handle, ...options });
    await expect(suite.open({ handle })).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });

  test("and removes the key first: that is not found", async () => {
    await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle });
    await besides(
      (ask) => ask(evict(handle, handle)),
      async (tcti) => {
        await expect(removeTpmKey({ tcti, handle })).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
      },
    );
  });
});
