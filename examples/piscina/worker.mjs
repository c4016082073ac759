// A worker of main.mjs: it has no device, and signs with the keys that the main thread gives it.
import { MessageChannel, parentPort, workerData } from "node:worker_threads";
import { HmacSigner } from "aws-hmac";
import { move } from "piscina";

const { bucket, ...settings } = workerData;
const { port1: port, port2: keyPort } = new MessageChannel();
parentPort.postMessage({ keyPort }, [keyPort]);

/** Answers that are waited for. */
const waiting = new Map();
let lastId = 0;

const key = {
  signingKey: (scope) =>
    new Promise((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      port.postMessage({ id: lastId, scope });
    }),
};
const signer = new HmacSigner({ key, ...settings });

port.on("message", async ({ close, id, signingKey, error }) => {
  if (close) {
    await signer.close(); // wipes its signing keys: when a thread is terminated nothing would
    port.close();
    return;
  }
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (signingKey) resolve(signingKey);
  else reject(error);
});
port.unref();

/** The presigned URLs of object names, both a line each, the URLs as bytes that are transferred to the main thread. */
export default async function presign(names) {
  const origin = `https://${bucket}.s3.${settings.region}.amazonaws.com/`;
  let urls = "";
  for (const name of names.split("\n")) {
    const path = encodeURIComponent(name).replaceAll("%2F", "/");
    urls += `${await signer.presignUrl(origin + path)}\n`;
  }
  return move(new TextEncoder().encode(urls));
}
