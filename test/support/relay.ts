import { connect, createServer, type Socket } from "node:net";
import { close, freePorts, listen } from "./ports.js";

/** Sends the TPM one command and gives its answer. */
export type Ask = (command: Buffer) => Promise<Buffer>;

/** What somebody between a program and its TPM answers to a command; by default what the TPM does. */
export type Answer = (command: Buffer, ask: Ask) => Buffer | Promise<Buffer>;

/** A way to a software TPM on which the answers are a test's own. */
export interface Relay {
  /** The TCTI string that leads through it. */
  tcti: string;
  /** The codes (TPM_CC) of the commands that the program has sent so far. */
  commands: number[];
  /** How often it has sent a command. */
  count(command: number): number;
  /** How commands are answered from now on. */
  answer(how: Answer): void;
}

/**
 * Stands in the way to `tcti`, as `startSwtpm` gives it, while `use` runs, and passes everything on until `answer` is
 * called. Keys that use it must be closed in the end: then the TPM is free for tools that a test waits for without
 * turning its event loop.
 */
export async function withRelay(tcti: string, use: (wire: Relay) => Promise<void>): Promise<void> {
  const { stop, ...wire } = await relay(tcti);
  try {
    await use(wire);
  } finally {
    await stop();
  }
}

/** The same until `stop` is called, which waits until every connection is closed. */
export async function relay(tcti: string): Promise<Relay & { stop(): Promise<void> }> {
  const target = Number(/port=(\d+)/.exec(tcti)?.[1]);
  const commands: number[] = [];
  const ends: Promise<unknown>[] = [];
  let answer: Answer = (command, ask) => ask(command);
  const serve = async (near: Socket): Promise<void> => {
    const far = connect(target, "127.0.0.1");
    for (const socket of [near, far]) socket.setNoDelay(true).on("error", () => socket.destroy());
    near.once("close", () => far.destroy());
    ends.push(new Promise((resolve) => far.once("close", resolve)));
    far.once("close", () => near.destroy());
    const answers = messages(far);
    const ask: Ask = async (command) => {
      far.write(command);
      const { value } = await answers.next();
      if (value === undefined) throw new Error("the TPM has closed the connection");
      return value;
    };
    for await (const command of messages(near)) {
      commands.push(codeOf(command));
      near.write(await answer(command, ask));
    }
  };
  const port = await freePorts(1);
  const server = await listen(
    createServer((near) => {
      serve(near).catch(() => near.destroy());
    }),
    port,
  );
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    commands,
    count: (command) => commands.filter((sent) => sent === command).length,
    answer(how) {
      answer = how;
    },
    async stop() {
      await close(server);
      await Promise.all(ends);
    },
  };
}

/** Sends a software TPM one command without anything in between. */
export async function askTpm(tcti: string, command: Buffer): Promise<Buffer> {
  const socket = connect(Number(/port=(\d+)/.exec(tcti)?.[1]), "127.0.0.1");
  const end = new Promise((resolve) => socket.once("close", resolve));
  try {
    socket.write(command);
    const { value } = await messages(socket).next();
    if (value === undefined) throw new Error("the TPM has closed the connection");
    return value;
  } finally {
    socket.destroy();
    await end;
  }
}

/** The command code of a command, or the response code of an answer (TCG TPM 2.0 Part 1, 18). */
export const codeOf = (message: Buffer): number => message.readUInt32BE(6);

/** A command or answer without sessions: a header and what follows. */
export function message(code: number, ...rest: (Buffer | number)[]): Buffer {
  const body = rest.map((part) => (typeof part === "number" ? uint32(part) : part));
  const size = 10 + body.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([Buffer.of(0x80, 0x01), uint32(size), uint32(code), ...body]);
}

function uint32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

/** The whole messages that arrive on a connection. */
async function* messages(socket: Socket): AsyncGenerator<Buffer, undefined> {
  let kept = Buffer.alloc(0);
  try {
    for await (const bytes of socket) {
      kept = Buffer.concat([kept, bytes]);
      while (kept.length >= 10 && kept.length >= kept.readUInt32BE(2)) {
        const size = kept.readUInt32BE(2);
        yield kept.subarray(0, size);
        kept = kept.subarray(size);
      }
    }
  } catch {
    // The connection is gone.
  }
  return undefined;
}
