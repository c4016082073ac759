import { getEventListeners } from "node:events";
import { Readable } from "node:stream";
import { type HmacSigner, insecureMemoryKey, type PresignUrlItem } from "../../../lib/index.js";
import { type CountedKey, counted } from "../../support/counted.js";
import { openSigner, refusal, secret, signingDate, wrong } from "../../support/signer.js";

const place = "https://bucket.s3.eu-central-1.amazonaws.com";
const urls = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${place}/key%20${index}`);
const options = { signingDate, expiresIn: 60 };

function open(keyCache?: "none"): { key: CountedKey; signer: HmacSigner } {
  const key = counted(insecureMemoryKey(secret));
  return { key, signer: openSigner({ key, service: "s3", keyCache }) };
}

async function all<T>(texts: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const text of texts) list.push(text);
  return list;
}

/** What `presignUrl` gives, which other tests judge. */
const expected = (list: readonly (string | URL)[]): Promise<string[]> =>
  Promise.all(list.map((url) => open().signer.presignUrl(url, options)));

/** A source that says what is done with it. */
function watched<T>(list: T[]): { source: Iterable<T>; state: { read: number; stopped: number } } {
  const state = { read: 0, stopped: 0 };
  const iterator: Iterator<T> = {
    next: () => {
      const value = list[state.read];
      if (state.read === list.length) return { done: true, value: undefined };
      state.read += 1;
      return { done: false, value: value as T };
    },
    return: () => {
      state.stopped += 1;
      return { done: true, value: undefined };
    },
  };
  return { source: { [Symbol.iterator]: () => iterator }, state };
}

/** A source whose items arrive when they are pushed. */
function live(): { source: AsyncIterable<string>; push(url: string): void; state: { stopped: number } } {
  const state = { stopped: 0 };
  const waiting: ((result: IteratorResult<string>) => void)[] = [];
  const iterator: AsyncIterator<string> = {
    next: () => new Promise((resolve) => waiting.push(resolve)),
    return: () => {
      state.stopped += 1;
      return new Promise(() => undefined); // as an async generator's, until what it waits for arrives
    },
  };
  return {
    source: { [Symbol.asyncIterator]: () => iterator },
    push: (value) => waiting.shift()?.({ done: false, value }),
    state,
  };
}

describe("what comes in and what comes out", () => {
  const list = urls(200);
  test.each<[string, () => Iterable<string | readonly string[]> | AsyncIterable<string | readonly string[]>]>(
    [
      ["an array", () => list],
      ["a set", () => new Set(list)],
      [
        "a generator",
        function* () {
          yield* list;
        },
      ],
      [
        "an async generator",
        async function* () {
          yield* list;
        },
      ],
      ["a stream", () => Readable.from(list)],
      ["a stream of arrays", () => Readable.from([list.slice(0, 150), [], list.slice(150, 199), list[199]])],
      [
        "a generator of both",
        function* () {
          yield list.slice(0, 3);
          yield* list.slice(3);
        },
      ],
    ],
  )("%s: every URL in its order, with one device call", async (_, source) => {
    const { key, signer } = open();
    expect(await all(signer.presignUrls(source(), options))).toEqual(await expected(list));
    expect(key.asked).toEqual(["20261123"]);
  });

  test("nothing gives nothing", async () => {
    expect(await all(open().signer.presignUrls([]))).toEqual([]);
  });

  test("URLs of every form, and options of their own before those of the batch", async () => {
    const { signer } = open();
    const batch = { ...options, method: "PUT", headers: { "content-type": "text/plain" } };
    const items: (string | URL | PresignUrlItem)[] = [
      `${place}/a`,
      new URL(`${place}/b?acl`),
      { url: `${place}/c` },
      { url: new URL(`${place}/d`), method: "GET", expiresIn: 5, headers: undefined },
      { url: `${place}/e`, signingDate: "2026-11-24T00:00:00Z", headers: { "x-amz-meta-a": "b" } },
      `${place}/f`,
    ];
    expect(await all(signer.presignUrls(items, batch))).toEqual([
      await signer.presignUrl(`${place}/a`, batch),
      await signer.presignUrl(`${place}/b?acl`, batch),
      await signer.presignUrl(`${place}/c`, batch),
      await signer.presignUrl(`${place}/d`, { ...batch, method: "GET", expiresIn: 5 }),
      await signer.presignUrl(`${place}/e`, {
        ...batch,
        signingDate: "2026-11-24T00:00:00Z",
        headers: { "x-amz-meta-a": "b" },
      }),
      await signer.presignUrl(`${place}/f`, batch),
    ]);
  });

  test("a region from a function", async () => {
    const signer = openSigner({ service: "s3", region: async () => "eu-central-1" });
    expect(await all(signer.presignUrls(list, options))).toEqual(await expected(list));
  });

  test("the day rolls over in the middle of a batch", async () => {
    const { key, signer } = open();
    const items = urls(6).map((url, index) => ({
      url,
      signingDate: index < 3 ? signingDate : "2026-11-24T00:00:00Z",
    }));
    const dates = (await all(signer.presignUrls(items))).map((url) => /Date=(\d{8})/.exec(url)?.[1]);
    expect(dates).toEqual([..."aaabbb"].map((day) => (day === "a" ? "20261123" : "20261124")));
    expect(key.asked).toEqual(["20261123", "20261124"]);
  });
});

/** Keeps this thread from doing anything else: for `milliseconds`. */
function busyFor(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

describe("how much is held", () => {
  test("who takes a millisecond for each gets what was signed when it was asked for", async () => {
    const { signer } = open();
    await signer.presignUrl(place, options);
    const { source, state } = watched(urls(1000));
    const texts = signer.presignUrls(source, options);
    for (let taken = 1; taken <= 30; taken++) {
      await texts.next();
      expect(state.read).toBe(taken);
      busyFor(1.1);
    }
  });

  test("who is fast gets at most 64 that were signed ahead", async () => {
    const { signer } = open();
    await signer.presignUrl(place, options);
    const { source, state } = watched(urls(3000));
    const ahead: number[] = [];
    let taken = 0;
    for await (const _ of signer.presignUrls(source, options)) ahead.push(state.read - ++taken);
    expect(taken).toBe(3000);
    expect(Math.max(...ahead)).toBeGreaterThan(7);
    expect(Math.max(...ahead)).toBeLessThan(64);
  });

  test("a source that takes a millisecond for each is not read ahead", async () => {
    const { signer } = open();
    await signer.presignUrl(place, options);
    let read = 0;
    function* slow(): Generator<string> {
      for (const url of urls(30)) {
        busyFor(1.1);
        read++;
        yield url;
      }
    }
    let taken = 0;
    for await (const _ of signer.presignUrls(slow(), options)) expect(read).toBe(++taken);
    expect(taken).toBe(30);
  });

  test("while the device is waited for, 64 are, and no more", async () => {
    const { key, signer } = open("none");
    let answer: () => void = () => undefined;
    key.gate = new Promise((resolve) => {
      answer = resolve;
    });
    const { source, state } = watched(urls(300));
    const texts = signer.presignUrls(source, options);
    const first = texts.next();
    for (let turn = 0; turn < 20; turn++) await new Promise((go) => setImmediate(go));
    expect([state.read, key.asked.length]).toEqual([64, 64]);
    answer();
    expect([await first, ...(await all(texts))]).toHaveLength(300);
    expect(key.asked).toHaveLength(300);
  });

  test("the order is kept whatever the device answers first", async () => {
    const { key, signer } = open("none");
    const list = urls(100);
    const answers: (() => void)[] = [];
    Object.defineProperty(key, "gate", { get: () => new Promise<void>((resolve) => answers.push(resolve)) });
    const texts = all(signer.presignUrls(list, options));
    let done = false;
    void texts.then(() => {
      done = true;
    });
    while (!done) {
      answers.pop()?.();
      await new Promise((go) => setImmediate(go));
    }
    expect(await texts).toEqual(await expected(list));
  });

  test.each([undefined, "none"] as const)(
    "a URL that is ready does not wait for the next (%s)",
    async (keyCache) => {
      const { signer } = open(keyCache);
      const { source, push } = live();
      const texts = signer.presignUrls(source, options);
      for (const url of urls(3)) {
        const text = texts.next();
        await new Promise((go) => setImmediate(go));
        push(url);
        expect(await text).toEqual({ done: false, value: (await expected([url]))[0] });
      }
    },
  );

  test("the event loop turns meanwhile", async () => {
    const { signer } = open();
    let turns = 0;
    const count = (): void => {
      turns += 1;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    await all(signer.presignUrls(urls(20_000), options));
    clearImmediate(immediate);
    expect(turns).toBeGreaterThan(4);
  });
});

describe("its end", () => {
  test("who stops early stops the source", async () => {
    const { source, state } = watched(urls(100));
    for await (const _ of open().signer.presignUrls(source, options)) break;
    expect(state.stopped).toBe(1);
    const finished = watched(urls(10));
    await all(open().signer.presignUrls(finished.source, options));
    expect(finished.state.stopped).toBe(0);
    const stream = Readable.from(urls(10));
    for await (const _ of open().signer.presignUrls(stream, options)) break;
    expect(stream.destroyed).toBe(true);
  });

  test("a signal ends it: before, between, and while a source or a device is waited for", async () => {
    const reason = new Error("enough");
    const before = AbortSignal.abort(reason);
    await expect(all(open().signer.presignUrls(urls(3), { ...options, signal: before }))).rejects.toBe(
      reason,
    );

    const between = new AbortController();
    const texts = open().signer.presignUrls(urls(3), { ...options, signal: between.signal });
    await texts.next();
    between.abort(reason);
    await expect(texts.next()).rejects.toBe(reason);
    expect(await texts.next()).toEqual({ done: true, value: undefined });

    const { source, state } = live();
    const waiting = new AbortController();
    const text = open()
      .signer.presignUrls(source, { ...options, signal: waiting.signal })
      .next();
    setImmediate(() => waiting.abort(reason));
    await expect(text).rejects.toBe(reason);
    expect(state.stopped).toBe(1);

    const { key, signer } = open();
    key.gate = new Promise(() => undefined);
    const hung = new AbortController();
    const never = signer.presignUrls(urls(100), { ...options, signal: hung.signal }).next();
    setImmediate(() => hung.abort(reason));
    await expect(never).rejects.toBe(reason);
    for (const { signal } of [between, waiting, hung]) expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("a signal that is never used keeps nothing", async () => {
    const { signal } = new AbortController();
    await all(open().signer.presignUrls(urls(100), { ...options, signal }));
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test.each([
    [
      "a generator",
      function* (failure: Error) {
        yield* urls(3);
        throw failure;
      },
    ],
    [
      "an async generator",
      async function* (failure: Error) {
        yield* urls(3);
        throw failure;
      },
    ],
  ])("what %s gave before it failed is signed, then its error comes through", async (_, make) => {
    const failure = new Error("source gone");
    const list: string[] = [];
    const texts = open().signer.presignUrls(make(failure), options);
    await expect(
      (async () => {
        for await (const text of texts) list.push(text);
      })(),
    ).rejects.toBe(failure);
    expect(list).toEqual(await expected(urls(3)));
  });

  test("the device's error comes through as it is, onError or not", async () => {
    const { key, signer } = open();
    const failure = new Error("device gone");
    key.failures.push(failure);
    const onError = jest.fn();
    await expect(all(signer.presignUrls(urls(3), { ...options, onError }))).rejects.toBe(failure);
    expect(onError).not.toHaveBeenCalled();
    await signer.close();
    await expect(all(signer.presignUrls(urls(3), { ...options, onError }))).rejects.toEqual(
      refusal("ERR_CLOSED"),
    );
  });

  test("a signal leaves out what was signed ahead", async () => {
    const { signer } = open();
    await signer.presignUrl(place, options);
    const { source, state } = watched(urls(2000));
    const controller = new AbortController();
    const reason = new Error("enough");
    let taken = 0;
    const all = async (): Promise<void> => {
      for await (const _ of signer.presignUrls(source, { ...options, signal: controller.signal })) {
        taken += 1;
        if (state.read > taken + 4) controller.abort(reason);
      }
    };
    await expect(all()).rejects.toBe(reason);
    expect(state.read).toBeGreaterThan(taken + 4);
    expect(state.stopped).toBe(1);
  });

  test("calls made at once answer in their order, as a generator's", async () => {
    const list = urls(300);
    const texts = open().signer.presignUrls(list, options);
    const calls = Array.from({ length: 310 }, () => texts.next());
    const expectedTexts = await expected(list);
    expect((await Promise.all(calls)).map(({ value }) => value)).toEqual([
      ...expectedTexts,
      ...Array.from({ length: 10 }, () => undefined),
    ]);
    const again = open().signer.presignUrls(list, options);
    const [first, ending, late] = [again.next(), again.return(), again.next()];
    expect(await first).toEqual({ done: false, value: expectedTexts[0] });
    expect([await ending, await late]).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    const failure = new Error("thrown in");
    await expect(open().signer.presignUrls(list, options).throw(failure)).rejects.toBe(failure);
  });

  test("disposing of it stops the source", async () => {
    const { source, state } = watched(urls(100));
    {
      await using texts = open().signer.presignUrls(source, options);
      await texts.next();
    }
    expect(state.stopped).toBe(1);
  });

  test("a closed signer ends it in the middle", async () => {
    const { signer } = open();
    await signer.presignUrl(place, options);
    const texts = signer.presignUrls(urls(3), options);
    await texts.next();
    await signer.close();
    await expect(texts.next()).rejects.toEqual(refusal("ERR_CLOSED"));
  });
});

describe("a URL that cannot be signed", () => {
  const list = [...urls(2), "no URL", wrong<string>(null), `${place}/ok`];

  test("ends it with its index, after those before it", async () => {
    const texts = open().signer.presignUrls(list, options);
    expect([(await texts.next()).value, (await texts.next()).value]).toEqual(await expected(urls(2)));
    const error: unknown = await texts.next().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      ...{ name: "SigningError", code: "ERR_SIGN_INPUT", message: "item 2: url must be an absolute URL" },
      cause: { code: "ERR_SIGN_INPUT", message: "url must be an absolute URL" },
    });
  });

  test("has the index among all of them where they come in arrays", async () => {
    const texts = open().signer.presignUrls(Readable.from([urls(3), list]), options);
    await expect(all(texts)).rejects.toMatchObject({ message: "item 5: url must be an absolute URL" });
  });

  test("is left out, or replaced, where onError is given", async () => {
    const seen: unknown[] = [];
    const items = [...list, { url: `${place}/a`, expiresIn: 0 }];
    const texts = open().signer.presignUrls(items, {
      ...options,
      onError: (error, item, index) => {
        seen.push([error.code, item, index]);
        return item === "no URL" ? "instead" : undefined;
      },
    });
    const [one, two, three] = await expected([...urls(2), `${place}/ok`]);
    expect(await all(texts)).toEqual([one, two, "instead", three]);
    expect(seen).toEqual([
      ["ERR_SIGN_INPUT", "no URL", 2],
      ["ERR_SIGN_INPUT", null, 3],
      ["ERR_EXPIRES_IN", items[5], 5],
    ]);
  });

  test("ends it with what onError throws", async () => {
    const failure = new Error("no more");
    const onError = (): never => {
      throw failure;
    };
    await expect(all(open().signer.presignUrls(list, { ...options, onError }))).rejects.toBe(failure);
  });
});

test.each([
  ["ERR_INVALID_ARGUMENT", `${place}/a string, of which the characters would be signed`, {}],
  ["ERR_INVALID_ARGUMENT", undefined, {}],
  ["ERR_INVALID_ARGUMENT", {}, {}],
  ["ERR_INVALID_ARGUMENT", [], { signal: {} }],
  ["ERR_INVALID_ARGUMENT", [], { onError: "skip" }],
  ["ERR_EXPIRES_IN", [], { expiresIn: 0 }],
  ["ERR_SIGN_INPUT", [], { signingDate: "today" }],
])("%s at once for %j, %j", (code, items, given) => {
  expect(() => open().signer.presignUrls(wrong(items), wrong(given))).toThrow(
    expect.objectContaining({ code }),
  );
});
