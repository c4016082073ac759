import { type Agent, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { secretBuffer, wipe } from "./wipe.js";

/** One HTTP request. */
export interface Sent {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body?: Buffer | undefined;
  readonly agent: Agent;
  readonly tls: object;
  /** Aborting breaks the connection off. */
  readonly signal: AbortSignal;
}

/** One HTTP answer, whatever its status. */
export interface Received {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  /** The caller wipes it. */
  readonly bytes: Buffer;
}

/** The most bytes of an answer: a server would send more by mistake only. */
export const longestAnswer = 4 << 20;

/** An answer that is longer than any of a server's. */
export class AnswerTooLong extends Error {}

/** Sends a request and reads the whole answer. Rejects with Node's error where the connection fails; follows no redirect. */
export function exchange({ method, url, headers, body, agent, tls, signal }: Sent): Promise<Received> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === "https:" ? requestHttps : requestHttp;
    const request = send(url, { ...tls, method, headers: { ...headers }, agent, signal }, (answer) => {
      readAll(answer).then(
        (bytes) => resolve({ status: answer.statusCode ?? 0, header: headerOf(answer), bytes }),
        (error) => {
          request.destroy();
          reject(error);
        },
      );
    });
    request.once("socket", (socket) => {
      // Behind Node's own listener, whose parser has copied the body by then.
      const wipeRead = (read: Buffer): void => wipe(read);
      socket.on("data", wipeRead);
      request.once("close", () => socket.off("data", wipeRead));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function headerOf({ headers }: IncomingMessage): (name: string) => string | undefined {
  return (name) => {
    const value = headers[name];
    return typeof value === "string" ? value : undefined;
  };
}

/** Copies what arrives and wipes it where it was: it may be a derived key. */
function readAll(answer: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const fail = (error: Error): void => {
      wipe(...pieces);
      reject(error);
    };
    answer.on("data", (chunk: Buffer) => {
      const piece = secretBuffer(chunk.length);
      chunk.copy(piece);
      wipe(chunk);
      pieces.push(piece);
      length += piece.length;
      if (length > longestAnswer) fail(new AnswerTooLong(`the answer has more than ${longestAnswer} bytes`));
    });
    answer.once("error", fail);
    answer.once("end", () => {
      const whole = secretBuffer(length);
      let at = 0;
      for (const piece of pieces) {
        whole.set(piece, at);
        at += piece.length;
      }
      wipe(...pieces);
      resolve(whole);
    });
  });
}
