import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { freePorts } from "./ports.js";
import { temporaryFolder } from "./process.js";

/** A way to a software TPM that keeps everything that passes: what somebody on the TPM's bus would see. */
export interface Wiretap {
  /** The TCTI string that leads through it. */
  tcti: string;
  /** Whether these bytes have passed, in either direction. */
  saw(bytes: Buffer): boolean;
  /** How many connections were made for commands so far. */
  connections(): number;
  /** From now on nothing passes, as if the TPM hung, until `resume`. */
  stall(): Promise<void>;
  /** The same once a command with this code (TPM_CC) has reached the TPM: its response is held. */
  stallAfter(command: number): Promise<void>;
  resume(): Promise<void>;
  /** Before each of the next `times` commands with this code the TPM gets one of somebody else's. */
  intrude(before: number, bytes: Buffer, times: number): Promise<void>;
  stop(): Promise<void>;
}

/** Taps the way to `tcti`, as `startSwtpm` gives it. */
export async function tap(tcti: string): Promise<Wiretap> {
  const target = Number(/port=(\d+)/.exec(tcti)?.[1]);
  const port = await freePorts(2);
  const { folder, remove } = temporaryFolder("wiretap");
  const record = path.join(folder, "bytes");
  writeFileSync(record, "");
  const counts = new SharedArrayBuffer(8);
  const forwarder = new Worker(path.join(__dirname, "forwarder.cjs"), {
    workerData: { port, target, record, counts },
  });
  await once(forwarder, "message");
  const order = async (what: object): Promise<void> => {
    forwarder.postMessage(what);
    await once(forwarder, "message");
  };
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    saw: (bytes) => readFileSync(record).includes(bytes),
    connections: () => Atomics.load(new Int32Array(counts), 0),
    stall: () => order({ stall: true }),
    stallAfter: (command) => order({ stallAfter: command }),
    resume: () => order({ resume: true }),
    intrude: (before, bytes, times) => order({ intrusion: { before, bytes, times } }),
    async stop() {
      await forwarder.terminate();
      remove();
    },
  };
}
