// A signing program in a container, for pkcs11-container.test.ts: node container.cjs OPTIONS-AS-JSON. A line on standard
// input is a command, and one on standard output its answer.
const { execFileSync } = require("node:child_process");
const { createInterface } = require("node:readline");
const { openPkcs11Key } = require("../..");

const commands = {
  mac: async (key) => Buffer.from(await key.mac(Buffer.from("20261123"))).toString("hex"),
  /** How many sockets a program has that this one starts, besides its standard streams. */
  inherited: () => {
    const list = execFileSync("ls", ["-l", "/proc/self/fd"], { stdio: ["ignore", "pipe", "inherit"] });
    const sockets = [...list.toString().matchAll(/ (\d+) -> socket:/g)];
    return String(sockets.filter(([, descriptor]) => Number(descriptor) > 2).length);
  },
};

(async () => {
  const key = await openPkcs11Key(JSON.parse(process.argv[2]));
  console.log("open");
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(await Promise.resolve(commands[line](key)).catch((error) => error.code));
  }
  await key.close();
})().catch((error) => console.log(error.code));
