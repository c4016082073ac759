// Event streams over midnight: each event is signed on its own day, whose key is there before the day is.
import { HmacSigner, insecureMemoryKey, type KeyCacheMode } from "../../../lib/index.js";
import { type CountedKey, counted } from "../../support/counted.js";
import { eventSignature } from "../../support/event-stream.js";
import { ManualClock } from "../../support/manual-clock.js";
import { accessKeyId, secret } from "../../support/signer.js";

const scope = { secretAccessKey: secret, region: "eu-central-1", service: "transcribe" };
const payload = Buffer.from("sound");

/** A header `:date` as it stands in an event (type 8: milliseconds since 1970). */
function dateHeader(date: Date): Buffer {
  const value = Buffer.alloc(8);
  value.writeBigInt64BE(BigInt(date.getTime()));
  return Buffer.concat([Buffer.from("\x05:date\x08", "latin1"), value]);
}

/** Signs the event of now; gives its signature. */
type SignNow = (signer: HmacSigner, now: Date, priorSignature: string) => Promise<string>;

const shapes: [string, SignNow][] = [
  [
    "{headers, payload}",
    (signer, signingDate, priorSignature) =>
      signer.sign({ headers: dateHeader(signingDate), payload }, { signingDate, priorSignature }),
  ],
  [
    "{headers, payload} on the signer's clock",
    (signer, now, priorSignature) => signer.sign({ headers: dateHeader(now), payload }, { priorSignature }),
  ],
  [
    "{message}",
    async (signer, signingDate, priorSignature) => {
      const headers = { ":date": { type: "timestamp", value: signingDate } } as const;
      const signed = await signer.sign(
        { message: { headers, body: payload }, priorSignature },
        { signingDate },
      );
      return signed.signature;
    },
  ],
];

function open(
  start: string,
  keyCache?: KeyCacheMode,
): { signer: HmacSigner; key: CountedKey; clock: ManualClock } {
  const clock = new ManualClock(start);
  const key = counted(insecureMemoryKey(secret));
  const { region, service } = scope;
  return { clock, key, signer: new HmacSigner({ key, accessKeyId, region, service, keyCache }, clock) };
}

/** Signs one event after the other, each at its time, and has each judged. */
async function stream(opened: ReturnType<typeof open>, sign: SignNow, times: string[]): Promise<void> {
  let prior = "0".repeat(64);
  for (const time of times) {
    await opened.clock.moveTo(time);
    const date = new Date(time);
    const signature = await sign(opened.signer, date, prior);
    expect([time, signature]).toEqual([time, eventSignature(scope, date, prior, dateHeader(date), payload)]);
    prior = signature;
  }
}

const midnight = [
  "2026-11-23T23:50:00Z",
  "2026-11-23T23:56:00Z",
  "2026-11-23T23:59:59.999Z",
  "2026-11-24T00:00:00Z",
  "2026-11-24T00:00:01Z",
  "2026-11-24T00:01:00Z",
];

describe.each(shapes)("%s", (_, sign) => {
  test("the device is asked once for each day, for the second before it begins", async () => {
    const opened = open("2026-11-23T23:40:00Z");
    await stream(opened, sign, midnight.slice(0, 1));
    expect(opened.key.asked).toEqual(["20261123"]);
    await opened.clock.moveTo("2026-11-23T23:55:00Z");
    expect(opened.key.asked).toEqual(["20261123", "20261124"]);
    await stream(opened, sign, midnight.slice(1));
    expect(opened.key.asked).toEqual(["20261123", "20261124"]);
  });

  test("no event at midnight waits for a device that has become slow", async () => {
    const opened = open("2026-11-23T23:40:00Z");
    await stream(opened, sign, midnight.slice(0, 2));
    opened.key.gate = new Promise(() => undefined); // nothing is answered any more
    await stream(opened, sign, midnight.slice(2));
    expect(opened.key.asked).toEqual(["20261123", "20261124"]);
  });

  test("a stream that begins in the last minutes has the next day's key too", async () => {
    const opened = open("2026-11-23T23:59:57Z");
    await stream(opened, sign, ["2026-11-23T23:59:58Z", "2026-11-23T23:59:59Z", "2026-11-24T00:00:00Z"]);
    expect(opened.key.asked).toEqual(["20261123", "20261124"]);
  });

  test.each([
    ["scope", ["20261123", "20261124"]],
    ["none", midnight.map((time) => time.slice(0, 10).replaceAll("-", ""))],
  ] as const)("keyCache %s", async (keyCache, asked) => {
    const opened = open("2026-11-23T23:40:00Z", keyCache);
    await stream(opened, sign, [...midnight]);
    expect(opened.key.asked).toEqual(asked);
  });
});
