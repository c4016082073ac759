// A program whose memory pkcs11-memory.test.ts searches: node memory.cjs OPTIONS-AS-JSON SECRET-FILE. A line on standard input is
// a command, and one on standard output tells that it is done.
const { closeSync, fstatSync, openSync, readSync } = require("node:fs");
const { createInterface } = require("node:readline");
const { HmacSigner, importPkcs11Key, openPkcs11Key } = require("../..");

const options = JSON.parse(process.argv[2]);
const scope = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", region: "eu-central-1", service: "s3" };
let key;
let signer;
const commands = {
  async import() {
    const secret = bytesOf(process.argv[3]);
    await importPkcs11Key(secret, options);
    secret.fill(0);
  },
  async open() {
    key = await openPkcs11Key(options);
    await key.mac(Buffer.from("another day"));
  },
  async sign() {
    signer = new HmacSigner({ key, ...scope });
    const url = "https://bucket.s3.eu-central-1.amazonaws.com/key";
    for (let time = 0; time < 3; time++)
      await signer.presignUrl(url, { signingDate: "2026-11-25T12:00:00Z" });
  },
  closeSigner: () => signer.close(),
  close: () => key.close(),
};

/** The bytes of a file, of which there is no copy but this one. */
function bytesOf(file) {
  const descriptor = openSync(file, "r");
  const bytes = new Uint8Array(new ArrayBuffer(fstatSync(descriptor).size));
  readSync(descriptor, bytes);
  closeSync(descriptor);
  return bytes;
}

(async () => {
  console.log("started");
  for await (const line of createInterface({ input: process.stdin })) {
    await commands[line]();
    console.log(line);
  }
})();
