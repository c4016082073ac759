import { createHmac, randomBytes } from "node:crypto";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import { type Backend, type Device, secretAccessKey } from "../support/backends.js";
import { warningsDuring } from "../support/warnings.js";

const expected = (message: Uint8Array): string =>
  createHmac("sha256", `AWS4${secretAccessKey}`).update(message).digest("hex");
const hex = (mac: Uint8Array): string => Buffer.from(mac).toString("hex");

/** What every HmacKey does, whatever device is behind it. */
export function contract({ start, messages }: Pick<Backend, "start" | "messages">): void {
  let device: Device;
  let key: HmacKey;

  beforeAll(async () => {
    device = await start();
  }, 60_000);
  afterAll(() => device?.stop());
  beforeEach(async () => {
    key = await device.open();
  });
  afterEach(() => key.close());

  const takes = (size: number): boolean => !messages || (size >= messages.least && size <= messages.most);
  const sizes = [0, 1, 8, 64, 1023, 1024, 1025, 4096, 4097, 10_000];

  test.each(sizes.filter(takes))("MACs a message of %d bytes", async (size) => {
    const message = randomBytes(size);
    const mac = await key.mac(message);
    expect(mac).toBeInstanceOf(Uint8Array);
    expect(hex(mac)).toBe(expected(message));
  });

  if (messages) {
    const refused = sizes.filter((size) => !takes(size));
    test.each(refused)("refuses a message of %d bytes, and works on", async (size) => {
      await expect(key.mac(randomBytes(size))).rejects.toMatchObject({ code: "ERR_MESSAGE_LENGTH" });
      expect(hex(await key.mac(Buffer.from("20261123")))).toBe(expected(Buffer.from("20261123")));
    });
  }

  test("reads its message when called: the caller may change it afterwards", async () => {
    const message = Buffer.from("20261123");
    const pending = key.mac(message);
    message.fill(0);
    expect(hex(await pending)).toBe(expected(Buffer.from("20261123")));
  });

  test("takes a view into a larger buffer", async () => {
    const bytes = Buffer.from("xx20261123yy");
    expect(hex(await key.mac(bytes.subarray(2, 10)))).toBe(expected(Buffer.from("20261123")));
  });

  test("gives each caller bytes of its own", async () => {
    const message = Buffer.from("20261123");
    const [one, other] = await Promise.all([key.mac(message), key.mac(message)]);
    one.fill(0);
    expect(hex(other)).toBe(expected(message));
    expect(other.buffer.byteLength).toBe(32);
  });

  test("answers many calls at once, each with its own MAC", async () => {
    const messages = Array.from({ length: 300 }, (_, n) => Buffer.from(`message ${n}`));
    const macs = await Promise.all(messages.map((message) => key.mac(message)));
    expect(macs.map(hex)).toEqual(messages.map(expected));
  });

  test("rejects what is not a Uint8Array", async () => {
    const wrong = "20261123" as unknown as Uint8Array;
    await expect(key.mac(wrong)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  test("rejects with the reason of a signal that is aborted already", async () => {
    const reason = new Error("changed my mind");
    await expect(key.mac(Buffer.from("x"), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test("an aborted call harms no other", async () => {
    const controller = new AbortController();
    const messages = Array.from({ length: 50 }, (_, n) => Buffer.from(`message ${n}`));
    const calls = messages.map((message, n) =>
      key.mac(message, n % 2 ? { signal: controller.signal } : {}).catch((error: unknown) => error),
    );
    controller.abort();
    const outcomes = await Promise.all(calls);
    outcomes.forEach((outcome, n) => {
      if (outcome instanceof Uint8Array) expect(hex(outcome)).toBe(expected(messages[n] as Buffer));
      else expect(n % 2 === 1 && outcome === controller.signal.reason).toBe(true);
    });
    expect(hex(await key.mac(Buffer.from("after")))).toBe(expected(Buffer.from("after")));
  });

  test("hundreds of calls may share a signal without a leak warning", async () => {
    const { signal } = new AbortController();
    const calls = () => Promise.all(Array.from({ length: 300 }, () => key.mac(Buffer.from("x"), { signal })));
    expect(await warningsDuring(calls)).toEqual([]);
  });

  test("close() waits for the calls in flight, and later calls reject with ERR_CLOSED", async () => {
    const calls = Array.from({ length: 20 }, (_, n) => key.mac(Buffer.from(`${n}`)));
    let settled = 0;
    for (const call of calls) void call.then(() => settled++);
    await key.close();
    expect(settled).toBe(20);
    await expect(key.mac(Buffer.from("late"))).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });

  test("close() can be called again and tells its listeners once", async () => {
    let told = 0;
    key.closed?.addEventListener("abort", () => told++);
    expect(key.closed?.aborted).toBe(false);
    await Promise.all([key.close(), key.close()]);
    await key.close();
    expect(key.closed?.aborted).toBe(true);
    expect(told).toBe(1);
  });

  test("is disposed of by `await using`", async () => {
    const other = await device.open();
    await other[Symbol.asyncDispose]();
    await expect(other.mac(Buffer.from("late"))).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });

  test("a second instance works on when the first is closed", async () => {
    const other = await device.open();
    await key.close();
    expect(hex(await other.mac(Buffer.from("20261123")))).toBe(expected(Buffer.from("20261123")));
    await other.close();
  });
}
