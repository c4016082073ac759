import { setImmediate } from "node:timers/promises";
import { Flattened } from "./flattened.js";
import { Abort, type Items, Source } from "./source.js";

/** What makes a text of each item. */
export interface Work<Item> {
  /** The texts of `items` from index `from` on, as far as they can be made at once; none where the first takes waiting. */
  now(items: readonly Item[], from: number): string[];
  later(item: Item): Promise<string>;
  /** The text to give in place of one that failed, or undefined to give none; throws what ends everything. */
  failed(error: unknown, item: Item, index: number): string | undefined;
}

/** How many texts are waited for at a time, and how many are made ahead for one who takes them fast. */
const aheadLimit = 64;
/** Milliseconds after which the event loop gets its turn, and in which who is fast takes what was made ahead. */
const longestStretch = 1;

/**
 * The texts of `items`, in order. Reads an item when a text is asked for, up to {@link aheadLimit} at once where all of the
 * last ones were read, made and taken within a millisecond, and up to as many ahead while texts take waiting, besides what
 * comes together; a text that is ready does not wait for an async source. Lets the event loop turn every millisecond.
 *
 * @param signal ends it, with its reason
 */
export function inOrder<Item>(
  items: Items<Item>,
  work: Work<Item>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  return new Flattened(bursts(items, work, signal), signal);
}

async function* bursts<Item>(
  items: Items<Item>,
  work: Work<Item>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string[], void, undefined> {
  const abort = new Abort(signal);
  const source = new Source(items, abort);
  const window: Pending<Item>[] = [];
  let read: Item[] = [];
  let taken = 0;
  let index = 0;
  let burst = 1;
  let lastRead = 0;
  let nextTurn = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const now = performance.now();
      if (now >= nextTurn) {
        await setImmediate();
        nextTurn = performance.now() + longestStretch;
      }

      const head = window[0];
      const isAllRead = source.ended && taken === read.length;
      if (head && (head.settled || isAllRead || window.length === aheadLimit)) {
        if (!head.settled) await abort.wait(head.done);
        window.shift();
        const text = head.error ? work.failed(head.error.reason, head.item, head.index) : head.text;
        if (text !== undefined) yield [text];
      } else if (taken < read.length) {
        const texts = head ? [] : work.now(read, taken);
        const item = read[taken] as Item;
        if (texts.length === 0) window.push(new Pending(work, item, index));
        taken += texts.length || 1;
        index += texts.length || 1;
        if (texts.length > 0) yield texts;
      } else if (!source.ended) {
        burst = now - lastRead < longestStretch ? Math.min(2 * burst, aheadLimit) : 1;
        lastRead = performance.now();
        taken = 0;
        read = await source.read(head ? 1 : burst, longestStretch, head?.done);
      } else break;
    }
    if (source.failure) throw source.failure.reason;
  } finally {
    abort.end();
    await source.stop();
  }
}

/** An item whose text takes waiting. */
class Pending<Item> {
  readonly item: Item;
  readonly index: number;
  /** Never rejects. */
  readonly done: Promise<undefined>;
  settled = false;
  text: string | undefined;
  error: { reason: unknown } | undefined;

  constructor(work: Work<Item>, item: Item, index: number) {
    this.item = item;
    this.index = index;
    const settle = (): undefined => {
      this.settled = true;
    };
    this.done = work
      .later(item)
      .then(
        (text) => {
          this.text = text;
        },
        (reason: unknown) => {
          this.error = { reason };
        },
      )
      .then(settle);
  }
}
