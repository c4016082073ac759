import process from "node:process";
import { createInterface } from "node:readline/promises";
import { secretBuffer, wipe } from "../core/wipe.js";
import { Unconfirmed } from "./failure.js";

const longest = 1024;
const keys = { interrupt: 0x03, end: 0x04, newline: 0x0a, enter: 0x0d, backspace: 0x08, delete: 0x7f };

/** Whether somebody can be asked: stdin is a terminal, and so is stderr, where questions go. */
export function isInteractive(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/**
 * What somebody types behind the question, without echo: at most 1024 bytes, which the caller wipes.
 *
 * @throws Unconfirmed without a terminal, and where nothing was typed
 */
export async function askSecret(question: string): Promise<Buffer> {
  if (!isInteractive()) throw new Unconfirmed(`no terminal to ask at for: ${question}`);
  const { stdin, stderr } = process;
  const typed = secretBuffer(longest);
  let length = 0;
  stdin.setRawMode(true); // first: who answers at once shall not see it either
  stderr.write(question);
  try {
    await new Promise<void>((resolve, reject) => {
      const take = (chunk: Buffer): void => {
        for (const byte of chunk) {
          if (byte === keys.interrupt) done(new Unconfirmed("interrupted"));
          else if (byte === keys.enter || byte === keys.newline || byte === keys.end) done();
          else if (byte === keys.backspace || byte === keys.delete) length = Math.max(0, length - 1);
          else if (length < longest) typed[length++] = byte;
        }
      };
      const done = (failure?: Error): void => {
        stdin.off("data", take).off("end", done).pause();
        failure ? reject(failure) : resolve();
      };
      stdin.on("data", take).once("end", done).resume();
    });
    if (length === 0) throw new Unconfirmed("nothing was typed");
    const secret = secretBuffer(length);
    typed.copy(secret, 0, 0, length);
    return secret;
  } finally {
    stdin.setRawMode(false);
    stderr.write("\n");
    wipe(typed);
  }
}

/** A new secret, typed twice; the caller wipes it. `what` is for the questions: "password of the key". */
export async function askNewSecret(what: string): Promise<Buffer> {
  const first = await askSecret(`New ${what}: `);
  const second = await askSecret(`New ${what}, once more: `);
  const isSame = first.equals(second);
  wipe(second);
  if (isSame) return first;
  wipe(first);
  throw new Unconfirmed("the two differ: nothing was done");
}

/**
 * The line that somebody types behind the question.
 *
 * @throws Unconfirmed without a terminal
 */
export async function ask(question: string): Promise<string> {
  if (!isInteractive()) throw new Unconfirmed(`no terminal to ask at for: ${question}`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await lines.question(question)).trim();
  } finally {
    lines.close();
  }
}

/**
 * Whether the answer to a question is yes.
 *
 * @param remedy what says yes beforehand, e.g. `--yes`
 * @throws Unconfirmed without a terminal
 */
export async function confirm(question: string, remedy: string): Promise<boolean> {
  if (!isInteractive()) throw new Unconfirmed(`no terminal to ask at: ${question} Say so with ${remedy}`);
  return /^y(es)?$/i.test(await ask(`${question} [y/N] `));
}
