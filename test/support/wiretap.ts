import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePortPair } from "./swtpm.js";

/** A way to a software TPM that keeps everything that passes: what somebody on the TPM's bus would see. */
export interface Wiretap {
  /** The TCTI string that leads through it. */
  tcti: string;
  /** Whether these bytes have passed, in either direction. */
  saw(bytes: Buffer): boolean;
  stop(): Promise<void>;
}

/** Taps the way to `tcti`, as `startSwtpm` gives it. */
export async function tap(tcti: string): Promise<Wiretap> {
  const target = Number(/port=(\d+)/.exec(tcti)?.[1]);
  const port = await freePortPair();
  const passed: Buffer[] = [];
  const servers = [0, 1].map((channel) =>
    forward(port + channel, target + channel, (bytes) => passed.push(bytes)),
  );
  await Promise.all(servers.map((server) => once(server, "listening")));
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    saw: (bytes) => Buffer.concat(passed).includes(bytes),
    async stop() {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

function forward(port: number, target: number, keep: (bytes: Buffer) => void): Server {
  const pipe = (from: Socket, to: Socket): void => {
    from.on("data", keep);
    from.pipe(to);
    from.once("error", () => to.destroy());
    from.once("close", () => to.destroy());
  };
  return createServer((near) => {
    const far = connect(target, "127.0.0.1");
    pipe(near, far);
    pipe(far, near);
  }).listen(port, "127.0.0.1");
}
