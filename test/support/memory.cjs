// A program whose memory tests search: node memory.cjs '{"pkcs11": OPTIONS}' SECRET-FILE, or "vault". A line on standard input is
// a command, and one on standard output tells that it is done.
const { closeSync, fstatSync, openSync, readSync } = require("node:fs");
const { createInterface } = require("node:readline");
const { HmacSigner, importPkcs11Key, importVaultKey, openPkcs11Key, openVaultKey } = require("../..");

const given = JSON.parse(process.argv[2]);
const [importKey, openKey] = given.vault ? [importVaultKey, openVaultKey] : [importPkcs11Key, openPkcs11Key];
const options = given.vault ?? given.pkcs11;
const scope = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", region: "eu-central-1", service: "s3" };
let key;
let signer;
const commands = {
  async import() {
    const secret = bytesOf(process.argv[3]);
    await importKey(secret, options);
    secret.fill(0);
  },
  async open() {
    key = await openKey(options);
    await key.mac(Buffer.from("another day"));
  },
  async sign() {
    signer = new HmacSigner({ key, ...scope });
    const url = "https://bucket.s3.eu-central-1.amazonaws.com/key";
    for (let time = 0; time < 3; time++)
      await signer.presignUrl(url, { signingDate: "2026-11-25T12:00:00Z" });
  },
  async days() {
    for (let day = 0; day < 20; day++) (await key.mac(Buffer.from(`day ${day}`))).fill(0);
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
