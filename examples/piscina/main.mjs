// Presigns S3 object names, a line each, with as many worker threads as there are cores. This thread has the device and asks
// it once a day; each worker gets the signing key of the day by transfer, signs with it, and wipes it at the end.
//
//   AWS_ACCESS_KEY_ID=AKIA… AWS_REGION=eu-central-1 S3_BUCKET=my-bucket SIGNING_KEY=tpm:0x81008001 KEY_PASSWORD=… \
//     node examples/piscina/main.mjs < names.txt > urls.txt
//
// SIGNING_KEY is what openKey() takes; a PKCS#11 token's PIN comes from TOKEN_PIN. THREADS sets the number of workers. With
// --measure it presigns names of its own, with one worker and with all of them by turns, and prints the rates.
import { once } from "node:events";
import { availableParallelism } from "node:os";
import process from "node:process";
import { createInterface } from "node:readline";
import { HmacSigner, openKey } from "aws-hmac";
import { Piscina } from "piscina";

const { env } = process;
const threads = Number(env.THREADS ?? availableParallelism());
const linesPerTask = 2000;

const key = await openKey(env.SIGNING_KEY ?? "", {
  ...(env.TOKEN_PIN ? { pinEnv: "TOKEN_PIN" } : {}),
  ...(env.KEY_PASSWORD ? { auth: { password: env.KEY_PASSWORD } } : {}),
});
const settings = { accessKeyId: env.AWS_ACCESS_KEY_ID, region: env.AWS_REGION, service: "s3" };
const signer = new HmacSigner({ key, ...settings });

/** Workers that sign with the keys which this thread gives them. `close` makes them wipe those before it ends them. */
function openPool(count) {
  const ports = [];
  const pool = new Piscina({
    filename: new URL("worker.mjs", import.meta.url).href,
    minThreads: count,
    maxThreads: count,
    atomics: "disabled", // otherwise an idle worker is blocked, and does not hear that it is to close
    workerData: { ...settings, bucket: env.S3_BUCKET },
  });
  pool.on("message", ({ keyPort }) => {
    ports.push(keyPort);
    keyPort.on("message", async ({ id, scope }) => {
      if (scope === undefined) return;
      try {
        const signingKey = await signer.exportSigningKey(scope);
        keyPort.postMessage({ id, signingKey }, [signingKey]);
      } catch (error) {
        keyPort.postMessage({ id, error });
      }
    });
  });
  const close = async () => {
    for (const port of ports) {
      port.postMessage({ close: true });
      await once(port, "close");
    }
    await pool.destroy();
  };
  return { pool, close };
}

/** The URLs of all lines, in their order, a task's at a time; the pool always has work, and holds a bounded number of lines. */
async function* presignAll(pool, tasks) {
  const running = [];
  for await (const names of tasks) {
    const task = pool.run(names);
    task.catch(() => undefined); // it fails when its turn comes; those behind the first that fails have none
    running.push(task);
    if (running.length > 2 * threads) yield await running.shift();
  }
  while (running.length > 0) yield await running.shift();
}

/** Names by the task, as one text: one string is passed to a worker in less time than many. */
async function* readTasks(input) {
  let names = [];
  for await (const line of createInterface({ input })) {
    if (names.push(line) < linesPerTask) continue;
    yield names.join("\n");
    names = [];
  }
  if (names.length > 0) yield names.join("\n");
}

function* makeTasks(count) {
  for (let task = 0; task < count; task++) {
    const first = task * linesPerTask;
    yield Array.from({ length: linesPerTask }, (_, index) => `folder/object-${first + index}`).join("\n");
  }
}

/** URLs a second. */
async function rate(pool, tasks) {
  const start = performance.now();
  for await (const _ of presignAll(pool, makeTasks(tasks)));
  return (tasks * linesPerTask * 1000) / (performance.now() - start);
}

async function measure() {
  const contenders = [1, threads].map((count) => ({ count, ...openPool(count), rates: [] }));
  for (const { pool } of contenders) await rate(pool, 100);
  for (let round = 0; round < 5; round++) {
    for (const { pool, rates } of contenders) rates.push(await rate(pool, 200));
  }
  for (const { count, rates, close } of contenders) {
    await close();
    const [, , median] = rates.sort((a, b) => a - b);
    console.log(`${count} worker${count === 1 ? "" : "s"}: ${Math.round(median)} URLs a second`);
  }
}

async function main() {
  const { pool, close } = openPool(threads);
  try {
    for await (const urls of presignAll(pool, readTasks(process.stdin))) {
      if (!process.stdout.write(urls)) await once(process.stdout, "drain");
    }
  } finally {
    await close();
  }
}

try {
  await (process.argv.includes("--measure") ? measure() : main());
  console.error(`device calls: ${signer.keyCacheMetrics().deviceCalls}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await signer.close();
  await key.close();
}
