// A program whose memory tink-memory.test.ts searches: node --expose-gc tink-memory.cjs OPTIONS-AS-JSON. With `aesKey` it decrypts
// the keyset itself, and leaves no copy of what it decrypted. A line on standard input is a command, and one on standard output
// tells that it is done.
const { createDecipheriv } = require("node:crypto");
const { createInterface } = require("node:readline");
const { openTinkKey } = require("../..");

const { aesKey, ...options } = JSON.parse(process.argv[2]);
const aead = aesKey && {
  async encrypt() {
    throw new Error("not asked");
  },
  async decrypt(ciphertext, associatedData) {
    const decipher = createDecipheriv("aes-256-gcm", Buffer.from(aesKey, "hex"), ciphertext.subarray(0, 12));
    decipher.setAAD(associatedData).setAuthTag(ciphertext.subarray(-16));
    const plaintext = decipher.update(ciphertext.subarray(12, -16));
    decipher.final();
    return plaintext;
  },
};
let key;
const commands = {
  async open() {
    key = await openTinkKey({ ...options, ...(aead && { aead }) });
  },
  async sign() {
    for (let day = 0; day < 100; day++) await key.mac(Buffer.from(`day ${day}`));
  },
  close: () => key.close(),
  async collect() {
    key = undefined;
    for (let round = 0; round < 3; round++) {
      globalThis.gc();
      await new Promise(setImmediate); // native memory is freed by finalizers
    }
  },
};

(async () => {
  console.log("started");
  for await (const line of createInterface({ input: process.stdin })) {
    await commands[line]();
    console.log(line);
  }
})();
