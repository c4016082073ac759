import { connect, createServer, type Server, type Socket } from "node:net";
import { close, freePorts, listen } from "./ports.js";

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
  const port = await freePorts(2);
  const passed: Buffer[] = [];
  const servers = await Promise.all(
    [0, 1].map((channel) =>
      listen(
        forward(target + channel, (bytes) => passed.push(bytes)),
        port + channel,
      ),
    ),
  );
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    saw: (bytes) => Buffer.concat(passed).includes(bytes),
    async stop() {
      await Promise.all(servers.map(close));
    },
  };
}

function forward(target: number, keep: (bytes: Buffer) => void): Server {
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
  });
}
