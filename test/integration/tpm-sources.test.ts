import { readFileSync, writeFileSync } from "node:fs";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { toolsKey } from "../support/tpm-tools-key.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM key of tpm2-tools", () => {
  const suite = tpmSuite();
  const auth = { password: "theirs" };

  /** Makes k.pub, k.priv and k.ctx under primary.ctx. */
  const makeKey = (): void => {
    suite.makePrimary();
    const create = ["-C", "primary.ctx", "-G", "hmac", "-g", "sha256", "-p", auth.password];
    suite.toolAndFlush("tpm2_create", ...create, "-u", "k.pub", "-r", "k.priv");
    suite.toolAndFlush("tpm2_load", "-C", "primary.ctx", "-u", "k.pub", "-r", "k.priv", "-c", "k.ctx");
  };
  /** The MAC that tpm2_hmac makes, in hexadecimal. */
  const theirMac = (context: string, message: Uint8Array): string => {
    writeFileSync(suite.file("message"), message);
    suite.toolAndFlush(
      "tpm2_hmac",
      "-c",
      context,
      "-p",
      auth.password,
      "-g",
      "sha256",
      "-o",
      "mac",
      "message",
    );
    return readFileSync(suite.file("mac")).toString("hex");
  };

  test("gives the same MACs here: context file, blobs and PEM, lengths 0 to 100 000", async () => {
    makeKey();
    const pemFile = toolsKey(suite).encode("primary.ctx", "-p");
    const paths = { publicArea: suite.file("k.pub"), privateArea: suite.file("k.priv") };
    const bytes = {
      publicArea: readFileSync(paths.publicArea),
      privateArea: readFileSync(paths.privateArea),
    };
    const sources = [
      { contextFile: suite.file("k.ctx") },
      { contextFile: suite.file("k.ctx"), encryption: "none" as const },
      { blobs: paths },
      { blobs: bytes },
      { pemFile },
    ];
    const messages = [0, 1, 8, 64, 1024, 1025, 100_000].map((length) => Buffer.alloc(length, 7));
    const theirs = messages.map((message) => theirMac("k.ctx", message));
    for (const source of sources) {
      const key = await suite.open({ ...source, auth });
      const ours: string[] = [];
      for (const message of messages) ours.push(await macOf(key, message));
      expect(ours).toEqual(theirs);
      await key.close();
    }
  });

  test("of ours, as a PEM: tpm2_load takes it and makes the same MACs", async () => {
    const { pem } = await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, output: "pem", auth });
    writeFileSync(suite.file("ours.pem"), pem);
    suite.toolAndFlush("tpm2_load", "-r", "ours.pem", "-c", "ours.ctx");
    for (const length of [0, 1, 8, 64, 1024, 1025, 100_000]) {
      const message = Buffer.alloc(length, 7);
      expect(theirMac("ours.ctx", message)).toBe(expected(message));
    }
    const key = await suite.open({ contextFile: suite.file("ours.ctx"), auth });
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test("of ours, at a handle: tpm2_hmac makes the same MACs", async () => {
    await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, handle: 0x81008001, auth });
    for (const length of [0, 1, 8, 64, 1024, 1025, 100_000]) {
      const message = Buffer.alloc(length, 7);
      expect(theirMac("0x81008001", message)).toBe(expected(message));
    }
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
  });

  test("a wrong password of a context file's key is not sent again", async () => {
    makeKey();
    const key = await suite.open({ contextFile: suite.file("k.ctx"), auth: { password } });
    const wrong = { code: "ERR_TPM_AUTH", operation: "TPM2_HMAC" };
    await expect(key.mac(day)).rejects.toMatchObject(wrong);
    await expect(key.mac(day)).rejects.toMatchObject(wrong);
    expect(suite.tool("tpm2_getcap", "properties-variable")).toMatch(/TPM2_PT_LOCKOUT_COUNTER: 0x1\n/);
  });

  test("a context file that cannot be used is refused", async () => {
    makeKey();
    const open = (name: string): Promise<unknown> => suite.open({ contextFile: suite.file(name) });
    const write = (name: string, change: (file: Buffer) => void): void => {
      const file = readFileSync(suite.file("k.ctx"));
      change(file);
      writeFileSync(suite.file(name), file);
    };
    await expect(open("missing.ctx")).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(open("primary.ctx")).rejects.toMatchObject({ code: "ERR_KEY_UNSUITABLE" });
    await expect(open("k.pub")).rejects.toMatchObject({ code: "ERR_TPM_FILE_INVALID" });
    write("metadata.ctx", (file) => file.fill(0xff, 26, 32));
    await expect(open("metadata.ctx")).rejects.toMatchObject({ code: "ERR_TPM_FILE_INVALID" });
    write("altered.ctx", (file) => file.writeUInt8(file.readUInt8(100) ^ 1, 100));
    await expect(open("altered.ctx")).rejects.toMatchObject({
      code: "ERR_TPM_CONTEXT",
      operation: "TPM2_ContextLoad",
      rcName: "TPM_RC_INTEGRITY",
    });
  });

  test("a context file is of no use after a reset of the TPM, its blobs are", async () => {
    makeKey();
    const mac = theirMac("k.ctx", day);
    const blobs = { publicArea: suite.file("k.pub"), privateArea: suite.file("k.priv") };
    const fromContext = await suite.open({ contextFile: suite.file("k.ctx"), auth });
    const fromBlobs = await suite.open({ blobs, auth });
    expect([await macOf(fromContext, day), await macOf(fromBlobs, day)]).toEqual([mac, mac]);
    await suite.tpm.kill();
    await suite.tpm.start();
    suite.tool("tpm2_dictionarylockout", "--clear-lockout");
    await expect(fromContext.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_CONTEXT" });
    expect(await macOf(fromBlobs, day)).toBe(mac);
    await expect(suite.open({ contextFile: suite.file("k.ctx"), auth })).rejects.toMatchObject({
      code: "ERR_TPM_CONTEXT",
    });
  });

  test("blobs that cannot be used are refused", async () => {
    makeKey();
    const [publicArea, privateArea] = [readFileSync(suite.file("k.pub")), readFileSync(suite.file("k.priv"))];
    const open = (blobs: { publicArea: Uint8Array | string; privateArea: Uint8Array | string }) =>
      suite.open({ blobs });
    await expect(open({ publicArea: suite.file("missing.pub"), privateArea })).rejects.toMatchObject({
      code: "ERR_KEY_NOT_FOUND",
      message: expect.stringContaining("missing.pub"),
    });
    await expect(open({ publicArea: publicArea.subarray(0, -1), privateArea })).rejects.toMatchObject({
      code: "ERR_TPM_FILE_INVALID",
      message: "blobs.publicArea is not a TPM2B structure",
    });
    await expect(open({ publicArea: privateArea, privateArea: publicArea })).rejects.toMatchObject({
      code: "ERR_TPM_FILE_INVALID",
    });
    const altered = Buffer.from(privateArea);
    altered[10] = (altered[10] as number) ^ 1;
    await expect(open({ publicArea, privateArea: altered })).rejects.toMatchObject({
      code: "ERR_TPM_PARENT",
    });
  });
});
