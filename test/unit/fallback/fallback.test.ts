import { createHmac } from "node:crypto";
import {
  AwsHmacError,
  type FallbackEntry,
  type FallbackEvent,
  type FallbackOptions,
  fallbackKey,
  type HmacKey,
  insecureMemoryKey,
} from "../../../lib/index.js";
import { openFallback } from "../../../lib/keys/fallback.js";
import { eventsDuring } from "../../support/events.js";
import { cameOf, ScriptedKey } from "../../support/scripted-key.js";
import { warningsDuring } from "../../support/warnings.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const message = Buffer.from("20261123");
const right = createHmac("sha256", `AWS4${secret}`).update(message).digest("hex");
const gone = new AwsHmacError("ERR_TPM_CONNECTION", "the TPM is away", { retryable: true });
const refused = new AwsHmacError("ERR_PIN_INCORRECT", "the PIN is wrong");
const unexpected = (error: AwsHmacError): never => {
  throw error;
};
const macOf = async (key: HmacKey, signal?: AbortSignal): Promise<string> =>
  Buffer.from(await key.mac(message, { signal })).toString("hex");
const coded = (code: string, words = ""): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(words) });

/** Two keys of one secret, and a fallback of them under a clock of our own. */
async function open(options: FallbackOptions = {}, { of = [secret, secret], first = [] as Error[] } = {}) {
  let time = 1_000_000;
  const keys = of.map((one, n) => new ScriptedKey(one, ["tpm", "pkcs11", "vault"][n]));
  keys[0]?.script.push(...first);
  const warnings: AwsHmacError[] = [];
  const warn = (error: AwsHmacError): void => void warnings.push(error);
  const key = await openFallback(keys, options, { now: () => time, warn });
  cameOf(keys);
  const pass = (ms: number): void => {
    time += ms;
  };
  return { key, keys, warnings, primary: keys[0] as ScriptedKey, secondary: keys[1] as ScriptedKey, pass };
}

describe("fallbackKey", () => {
  test("asks the first alone while it answers", async () => {
    const { key, keys } = await open();
    expect([await macOf(key), await macOf(key)]).toEqual([right, right]);
    expect(cameOf(keys)).toEqual([["answers", "answers"], []]);
    expect(key.backend).toBe("fallback");
  });

  test("stays with the second for retryAfter, and asks the first twice when it is back: for a proof, and the MAC", async () => {
    const { key, keys, primary, pass } = await open({ retryAfter: 500 });
    primary.script = [gone, gone];
    for (const [ms, came] of <[number, unknown][]>[
      [0, [[gone], ["answers"]]],
      [499, [[], ["answers"]]],
      [1, [[gone], ["answers"]]],
      [499, [[], ["answers"]]],
      [1, [["answers", "answers"], []]],
      [1, [["answers"], []]],
      [-900_000, [["answers"], []]],
    ]) {
      pass(ms);
      expect(await macOf(key)).toBe(right);
      expect(cameOf(keys)).toEqual(came);
    }
  });

  test("a clock that is set back does not keep the first away", async () => {
    const { key, keys, primary, pass } = await open();
    primary.script = [gone];
    await macOf(key);
    pass(-3_600_000);
    await macOf(key);
    expect(cameOf(keys)).toEqual([[gone, "answers", "answers"], ["answers"]]);
  });

  test("one of many calls tries the first again", async () => {
    const { key, keys, primary, pass } = await open();
    primary.script = [gone];
    await macOf(key);
    pass(30_000);
    cameOf(keys);
    primary.script = [gone];
    await Promise.all(Array.from({ length: 20 }, () => macOf(key)));
    expect(cameOf(keys)).toEqual([[gone], Array(20).fill("answers")]);
  });

  test("gives a refusal to the caller, each time, and asks no other", async () => {
    const { key, keys, primary } = await open();
    primary.script = [refused, refused];
    await expect(macOf(key)).rejects.toBe(refused);
    await expect(macOf(key)).rejects.toBe(refused);
    expect(await macOf(key)).toBe(right);
    expect(cameOf(keys)).toEqual([[refused, refused, "answers"], []]);
  });

  test("a key that is back and refuses is asked each time, too", async () => {
    const { key, keys, primary, pass } = await open();
    primary.script = [gone, refused, refused];
    await macOf(key);
    pass(30_000);
    await expect(macOf(key)).rejects.toBe(refused);
    await expect(macOf(key)).rejects.toBe(refused);
    expect(cameOf(keys)).toEqual([[gone, refused, refused], ["answers"]]);
  });

  test("a key that hangs is given up after timeout, and told to stop", async () => {
    const { key, keys, primary } = await open({ timeout: 20 });
    primary.script = ["hangs"];
    const events = await eventsDuring<FallbackEvent>("aws-hmac:fallback", async () => {
      expect(await macOf(key)).toBe(right);
    });
    expect(cameOf(keys)).toEqual([["hangs"], ["answers"]]);
    expect(events.map(({ backend, error }) => [backend, error])).toEqual([
      ["tpm", "ERR_TIMEOUT"],
      ["pkcs11", undefined],
    ]);
  });

  test("an answer that comes too late is wiped", async () => {
    let answer: (mac: Uint8Array) => void = () => undefined;
    const answers = [createHmac("sha256", `AWS4${secret}`).update(message).digest()];
    const mac = (): Promise<Uint8Array> =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const key = await fallbackKey([{ mac }, insecureMemoryKey(secret)], { timeout: 20 });
    answer(answers[0] as Buffer);
    await new Promise((next) => setImmediate(next));
    expect(answers).toEqual([Buffer.alloc(32)]);
    await key.close();
  });

  test("the caller's abort is no failure of a key", async () => {
    const { key, keys, primary } = await open();
    primary.script = ["hangs"];
    const controller = new AbortController();
    const call = macOf(key, controller.signal);
    controller.abort(gone); // which would be one
    await expect(call).rejects.toBe(gone);
    await expect(macOf(key, controller.signal)).rejects.toBe(gone);
    expect(await macOf(key)).toBe(right);
    expect(cameOf(keys)).toEqual([["hangs", "answers"], []]);
  });

  test("none available: one error that may be retried, with each key's in it; keys that are left alone are asked, too", async () => {
    const { key, keys, primary, secondary } = await open();
    primary.script = [gone, gone];
    secondary.script = [gone, gone];
    for (let call = 0; call < 2; call++) {
      const error = await macOf(key).catch((one: AwsHmacError) => one);
      expect(error).toMatchObject({
        code: "ERR_FALLBACK_UNAVAILABLE",
        message: "no key is available: key 1 (tpm): the TPM is away; key 2 (pkcs11): the TPM is away",
        retryable: true,
        cause: { errors: [gone, gone] },
      });
    }
    expect(await macOf(key)).toBe(right);
    expect(cameOf(keys)).toEqual([
      [gone, gone, "answers", "answers"],
      [gone, gone],
    ]);
  });

  test("a MAC that is none is the caller's to know, not another key's to mend", async () => {
    const wrong = { mac: async () => new Uint8Array(31) };
    await expect(fallbackKey([wrong, insecureMemoryKey(secret)])).rejects.toMatchObject({
      code: "ERR_MAC_LENGTH",
    });
  });
});

describe("keys of different secrets", () => {
  const another = "another+secret+access+key+of+forty+chars";

  test("are found on opening, and named, and all are closed", async () => {
    const keys = [secret, secret, another].map((one, n) => new ScriptedKey(one, `device${n}`));
    await expect(fallbackKey(keys)).rejects.toEqual(
      coded("ERR_FALLBACK_MISMATCH", "key 1 (device0) and key 3 (device2) give different MACs"),
    );
    expect(keys.map(({ closings }) => closings)).toEqual([1, 1, 1]);
    expect(cameOf(keys)).toEqual([["answers"], ["answers"], ["answers"]]);
  });

  test("one that was away on opening is found before it is used: left out, with one warning, and told of where it alone is left", async () => {
    const { key, keys, warnings, secondary, pass } = await open({}, { of: [another, secret], first: [gone] });
    for (let round = 0; round < 3; round++) {
      pass(30_000);
      expect(await macOf(key)).toBe(right);
    }
    expect(warnings).toEqual([
      coded("ERR_FALLBACK_MISMATCH", "key 1 (tpm) gives another MAC than key 2 (pkcs11) gave"),
    ]);
    expect(cameOf(keys)).toEqual([Array(3).fill("answers"), Array(3).fill("answers")]);
    secondary.script = [gone];
    await expect(macOf(key)).rejects.toEqual(coded("ERR_FALLBACK_MISMATCH", "key 1 (tpm)"));
  });

  test("one that was exchanged while it was away is found", async () => {
    const held = [secret, another].map((one) => new ScriptedKey(one));
    let inside = 0;
    const device = {
      backend: "tpm",
      mac: (...args: Parameters<ScriptedKey["mac"]>) => held[inside]?.mac(...args) as Promise<Uint8Array>,
    };
    const key = await fallbackKey([device, insecureMemoryKey(secret)], { retryAfter: 0 });
    held[0]?.script.push(gone);
    expect(await macOf(key)).toBe(right);
    inside = 1;
    const warnings = await warningsDuring(async () => expect(await macOf(key)).toBe(right));
    expect(warnings).toEqual([
      coded("ERR_FALLBACK_MISMATCH", "key 1 (tpm) gives another MAC than key 1 (tpm) gave"),
    ]);
  });
});

describe("keys that are opened by a function", () => {
  test("are opened when they can be, proved, and closed in the end", async () => {
    let now = 0;
    const primary = new ScriptedKey(secret);
    let calls = 0;
    const opener = async (): Promise<ScriptedKey> => {
      calls += 1;
      if (calls < 3) throw gone;
      return primary;
    };
    const events = await eventsDuring<FallbackEvent>("aws-hmac:fallback", async () => {
      const key = await openFallback(
        [opener, () => insecureMemoryKey(secret)],
        { closeKeys: false },
        { now: () => now, warn: unexpected },
      );
      for (let round = 0; round < 3; round++) {
        expect(await macOf(key)).toBe(right);
        now += 30_000;
      }
      await key.close();
    });
    expect(calls).toBe(3);
    expect(primary.came).toEqual(["answers", "answers"]);
    expect(primary.closings).toBe(1);
    const time = { startTime: expect.any(Number), duration: expect.any(Number) };
    const away = { ...time, position: 0, backend: "unknown", error: "ERR_TPM_CONNECTION" };
    const memory = { ...time, position: 1, backend: "memory" };
    expect(events).toEqual([
      { ...away, reason: "open" },
      { ...memory, reason: "open" },
      { ...memory, reason: "mac" },
      { ...away, reason: "mac" },
      { ...memory, reason: "mac" },
      { ...time, position: 0, backend: "scripted", reason: "mac" },
    ]);
  });

  test("an opening that takes too long goes on, and is awaited by nobody", async () => {
    let opened: (key: ScriptedKey) => void = () => undefined;
    const primary = new ScriptedKey(secret);
    let calls = 0;
    const opener = (): Promise<ScriptedKey> => {
      calls += 1;
      return new Promise((resolve) => {
        opened = resolve;
      });
    };
    let now = 0;
    const key = await openFallback(
      [opener, insecureMemoryKey(secret)],
      { timeout: 20 },
      { now: () => now, warn: unexpected },
    );
    expect(await macOf(key)).toBe(right);
    opened(primary);
    now += 30_000;
    expect(await macOf(key)).toBe(right);
    expect([calls, primary.came]).toEqual([1, ["answers", "answers"]]);
    await key.close();

    const slow = await openFallback(
      [opener, insecureMemoryKey(secret)],
      { timeout: 20 },
      { now: () => now, warn: unexpected },
    );
    await slow.close();
    const late = new ScriptedKey(secret);
    opened(late);
    await new Promise((next) => setImmediate(next));
    expect(late.closings).toBe(1);
  });

  test("a refusal to be opened is told at once, and what is open is closed", async () => {
    const other = new ScriptedKey(secret);
    await expect(fallbackKey([() => Promise.reject(refused), other])).rejects.toBe(refused);
    expect(other.closings).toBe(1);
    await expect(fallbackKey([other, (() => ({})) as unknown as FallbackEntry])).rejects.toEqual(
      coded("ERR_INVALID_ARGUMENT", "keys[1]: the function must give a key"),
    );
  });

  test("none can be opened, or with requireAll one cannot", async () => {
    const away = (): never => {
      throw gone;
    };
    await expect(fallbackKey([away, away])).rejects.toEqual(coded("ERR_FALLBACK_UNAVAILABLE", "key 2"));
    const other = new ScriptedKey(secret);
    const all = { requireAll: true };
    await expect(fallbackKey([away, other], all)).rejects.toEqual(
      coded("ERR_FALLBACK_UNAVAILABLE", "no key is available: key 1 (not open): the TPM is away"),
    );
    expect(other.closings).toBe(1);
    await expect(fallbackKey([other, other], all)).resolves.toMatchObject({ backend: "fallback" });
  });
});

describe("closing", () => {
  test("closes the keys that were given, unless closeKeys is false", async () => {
    const { key, keys } = await open();
    await key.close();
    const left = await open({ closeKeys: false });
    await left.key.close();
    await expect(macOf(left.key)).rejects.toEqual(coded("ERR_CLOSED"));
    expect([...keys, ...left.keys].map(({ closings }) => closings)).toEqual([1, 1, 0, 0]);
  });

  test("a key that somebody else closes closes the fallback", async () => {
    const { key, secondary } = await open();
    await secondary.close();
    expect(key.closed?.aborted).toBe(true);
    await expect(macOf(key)).rejects.toEqual(
      coded("ERR_CLOSED", "key 2 (pkcs11) of this fallback is closed"),
    );
    await key.close();
    const closed = insecureMemoryKey(secret);
    await closed.close();
    await expect(fallbackKey([insecureMemoryKey(secret), closed])).rejects.toEqual(coded("ERR_CLOSED"));
  });

  test("tells of a key that fails to close once all are closed", async () => {
    const failing = Object.assign(new ScriptedKey(secret), { close: () => Promise.reject(refused) });
    const other = new ScriptedKey(secret);
    const key = await fallbackKey([failing, other]);
    await expect(key.close()).rejects.toBe(refused);
    expect(other.closings).toBe(1);
  });
});

test.each<[string, unknown, unknown]>([
  ["keys must be an array", [], {}],
  ["keys must be an array", insecureMemoryKey(secret), {}],
  ["keys[1] must be a key", [insecureMemoryKey(secret), null], {}],
  ["keys[0] must be a key", [{ backend: "tpm" }], {}],
  ["timeout must be", [insecureMemoryKey(secret)], { timeout: 0 }],
  ["retryAfter must be", [insecureMemoryKey(secret)], { retryAfter: -1 }],
  ["retryAfter must be", [insecureMemoryKey(secret)], { retryAfter: "30" }],
  ["requireAll must be", [insecureMemoryKey(secret)], { requireAll: 1 }],
  ["closeKeys must be", [insecureMemoryKey(secret)], { closeKeys: "no" }],
])("%s", async (words, keys, options) => {
  await expect(fallbackKey(keys as FallbackEntry[], options as FallbackOptions)).rejects.toEqual(
    coded("ERR_INVALID_ARGUMENT", words),
  );
});
