import { type ChildProcess, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { importPkcs11Key } from "../../lib/index.js";
import { secretAccessKey } from "../support/backends.js";
import { unshare } from "../support/namespace.js";
import { type Remote, serveToken } from "../support/p11-kit-server.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

const mac = createHmac("sha256", `AWS4${secretAccessKey}`).update("20261123").digest("hex");

// A container's view: no token and no module that could open it, but the folder with the socket.
const enter = `
  set -e
  mount --bind "$SOCKET_FOLDER" /mnt
  mount -t tmpfs none "$TOKEN_FOLDER"
  mount -t tmpfs none "$(dirname "$MODULE")"
  if [ "$WAY" = module ]; then
    export P11_KIT_SERVER_ADDRESS=unix:path=/mnt/p11
  else
    unset P11_KIT_SERVER_ADDRESS
    mount -t tmpfs none /etc/pkcs11
    mkdir /etc/pkcs11/modules
    echo "remote: unix:path=/mnt/p11" >/etc/pkcs11/modules/aws.module
  fi
  unset SOFTHSM2_CONF
  exec "$@"`;

for (const way of ["module", "configuration"]) {
  describeWith(
    ["softhsm", "p11-kit", "namespaces"],
    `a remote HSM from a container, by p11-kit's ${way}`,
    () => {
      let hsm: SoftHsm;
      let remote: Remote;
      let container: ChildProcess;
      let answers: AsyncIterator<string>;

      beforeAll(async () => {
        hsm = await makeSoftHsm("aws");
        const { module, tokenLabel, pin } = hsm;
        await importPkcs11Key(Buffer.from(secretAccessKey), { module, tokenLabel, pin, label: "signer" });
        remote = await serveToken({ ...hsm, stop: async () => hsm.remove() });
        const options = {
          ...(way === "module" && { module: remote.module }),
          tokenLabel,
          pin,
          label: "signer",
        };
        const program = [process.execPath, path.join(__dirname, "..", "support", "container.cjs")];
        const command = ["sh", "-c", enter, "enter", ...program, JSON.stringify(options)];
        const folders = {
          SOCKET_FOLDER: remote.folder,
          TOKEN_FOLDER: path.dirname(hsm.conf),
          MODULE: module,
          WAY: way,
        };
        container = spawn("unshare", [...unshare, ...command], {
          env: { ...process.env, ...folders },
          stdio: ["pipe", "pipe", "inherit"],
        });
        answers = createInterface({ input: container.stdout as NodeJS.ReadableStream })[
          Symbol.asyncIterator
        ]();
        expect((await answers.next()).value).toBe("open");
      }, 30_000);
      afterAll(async () => {
        container?.kill("SIGKILL"); // unshare takes all in its namespaces with it
        await remote?.stop();
      });

      async function ask(command: string): Promise<string> {
        container.stdin?.write(`${command}\n`);
        return (await answers.next()).value;
      }

      test("signs with the key on the host, whose token it does not see", async () => {
        expect(existsSync(hsm.conf)).toBe(true);
        expect(await ask("mac")).toBe(mac);
      });

      test("a server that was killed and started again is found again", async () => {
        for (let round = 0; round < 3; round++) {
          await remote.kill();
          await remote.start();
          expect(await ask("mac")).toBe(mac);
        }
      });

      test("without the server a MAC fails with a code, and with it one is given again", async () => {
        await remote.kill();
        expect(await ask("mac")).toBe("ERR_TOKEN_NOT_FOUND");
        await remote.start();
        expect(await ask("mac")).toBe(mac);
      });

      test("what the program starts inherits no connection to the token", async () => {
        expect(await ask("inherited")).toBe("0");
      });
    },
  );
}
