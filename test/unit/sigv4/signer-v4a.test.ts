import crypto, { type KeyObject } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { HttpRequest } from "@smithy/types";
import {
  HmacSignerV4a,
  type HmacSignerV4aOptions,
  insecureMemoryKey,
  type SignEvent,
} from "../../../lib/index.js";
import { type CountedKey, counted } from "../../support/counted.js";
import { eventsDuring } from "../../support/events.js";
import { ManualClock } from "../../support/manual-clock.js";
import { until } from "../../support/process.js";
import { watchSecretBuffers } from "../../support/secret-buffers.js";
import { accessKeyId, refusal, request, secret, signingDate, wrong } from "../../support/signer.js";
import { publicKey, publicKeyOf, signatureOf, smithyV4a, verifies } from "../../support/sigv4a.js";

function open(options: Partial<HmacSignerV4aOptions> = {}): {
  signer: HmacSignerV4a;
  key: CountedKey;
  clock: ManualClock;
} {
  const key = counted(insecureMemoryKey(secret, { algorithm: "sigv4a" }));
  const clock = new ManualClock("2026-11-23T12:00:00Z");
  const signer = new HmacSignerV4a({ key, accessKeyId, regionSet: "*", service: "s3", ...options }, clock);
  return { signer, key, clock };
}

/** P-256's order less `less`. */
const order = (less: bigint): Buffer =>
  Buffer.from(
    (0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n - less).toString(16),
    "hex",
  );

let restore: () => void = () => undefined;
afterEach(() => {
  restore();
  jest.restoreAllMocks();
});

describe("the private key", () => {
  test("is the one that AWS derives (aws-c-auth, key_derivation_tests.c)", async () => {
    const judge = publicKey({
      x: "15d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb",
      y: "0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0",
    });
    const theirs = {
      secret: "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom",
      accessKeyId: "AKISORANDOMAASORANDOM",
    };
    const key = insecureMemoryKey(theirs.secret, { algorithm: "sigv4a" });
    const { signer } = open({ key, accessKeyId: theirs.accessKeyId, service: "service" });
    const signed = await signer.sign(request, { signingDate });
    const { stringToSign } = await smithyV4a(request, { ...theirs, service: "service", signingDate });
    expect(verifies(judge, stringToSign, signatureOf(signed.headers))).toBe(true);
    expect(verifies(judge, `${stringToSign} `, signatureOf(signed.headers))).toBe(false);
  });

  test.each([
    [
      "N-1 and all ones are none: the next counters are asked",
      [order(1n), Buffer.alloc(32, 0xff), Buffer.alloc(32, 7)],
      Buffer.alloc(32, 7),
    ],
    ["N-2 is the last one", [order(2n)], order(2n)],
    [
      "a carry runs through",
      [Buffer.from(`${"01".repeat(28)}ffffffff`, "hex")],
      Buffer.from(`${"01".repeat(28)}ffffffff`, "hex"),
    ],
  ])("%s", async (_, answers, last) => {
    const asked: string[] = [];
    const mac = async (message: Uint8Array): Promise<Uint8Array> => {
      asked.push(Buffer.from(message).toString("latin1"));
      return new Uint8Array(answers[asked.length - 1] as Buffer);
    };
    const signer = new HmacSignerV4a({ key: { mac }, accessKeyId, regionSet: "*", service: "service" });
    const signed = await signer.sign(request, { signingDate });
    expect(asked).toEqual(
      answers.map(
        (_, i) => `\0\0\0\x01AWS4-ECDSA-P256-SHA256\0${accessKeyId}${String.fromCharCode(i + 1)}\0\0\x01\0`,
      ),
    );
    const judge = publicKeyOf(BigInt(`0x${last.toString("hex")}`) + 1n);
    const { stringToSign } = await smithyV4a(request, {
      service: "service",
      accessKeyId,
      secret,
      signingDate,
    });
    expect(verifies(judge, stringToSign, signatureOf(signed.headers))).toBe(true);
  });

  test("a device that gives none is refused after the last counter", async () => {
    const mac = jest.fn(async () => new Uint8Array(32).fill(0xff));
    const signer = new HmacSignerV4a({ key: { mac }, accessKeyId, regionSet: "*", service: "s3" });
    await expect(signer.sign(request)).rejects.toEqual(refusal("ERR_KEY_UNSUITABLE"));
    expect(mac).toHaveBeenCalledTimes(254);
  });
});

describe("the request is @smithy/signature-v4a's, but for the signature", () => {
  test.each<[string, string, Partial<HttpRequest>]>([
    ["plain", "sqs", {}],
    [
      "S3, with a path and a query to encode",
      "s3",
      { path: "/a%20b/%C3%A4", query: { acl: "", x: ["2", "1"] } },
    ],
    ["a body", "execute-api", { method: "POST", body: "x=1", path: "/a/../b/" }],
    ["headers", "s3", { headers: { host: "h", "x-amz-meta-a": "  a   b ", range: "bytes=0-1" } }],
  ])("%s", async (_, service, input) => {
    const { signer } = open({ service });
    const ours = await signer.sign({ ...request, ...input }, { signingDate });
    const theirs = await smithyV4a({ ...request, ...input }, { service, accessKeyId, secret, signingDate });
    const withoutSignature = ({ headers }: Pick<HttpRequest, "headers">): object => ({
      ...headers,
      authorization: headers.authorization?.replace(/Signature=.*/, ""),
    });
    expect(withoutSignature(ours)).toEqual(withoutSignature(theirs));
    const judge = plainPublicKey();
    expect(verifies(judge, theirs.stringToSign, signatureOf(theirs.headers))).toBe(true);
    expect(verifies(judge, theirs.stringToSign, signatureOf(ours.headers))).toBe(true);
  });
});

describe("what stays in memory", () => {
  test("the device is asked once, however many wait, until close()", async () => {
    const { signer, key } = open({ regionSet: ["eu-*", "us-east-1"] });
    const events = await eventsDuring<SignEvent>("aws-hmac:sign", async () => {
      await Promise.all([signer.sign(request, { signingDate }), signer.presign(request, { signingDate })]);
      await signer.presignUrl("https://b.accesspoint.s3-global.amazonaws.com/k", { signingDate });
    });
    expect(key.asked).toHaveLength(1);
    expect(events.map(({ cache }) => cache)).toEqual(["miss", "wait", "hit"]);
    expect(events[0]).toMatchObject({
      algorithm: "sigv4a",
      scope: { date: "20261123", region: "eu-*,us-east-1", service: "s3" },
    });
    expect(signer.keyCacheMetrics()).toEqual({
      ...{ hits: 1, misses: 2, deviceCalls: 1, deviceFailures: 0, waiting: 0 },
    });
    await signer.close();
    for (const call of [signer.sign(request), signer.presign(request)]) {
      await expect(call).rejects.toEqual(refusal("ERR_CLOSED"));
    }
    expect(key.closed?.aborted).toBe(false);
  });

  test("none: the device is asked for each signature", async () => {
    const { signer, key } = open({ keyCache: "none" });
    for (let i = 0; i < 3; i++) await signer.sign(request, { signingDate });
    expect(key.asked).toHaveLength(3);
  });

  test("a failure is not remembered", async () => {
    const { signer, key } = open();
    key.failures.push(new Error("gone"));
    await expect(signer.sign(request)).rejects.toThrow("gone");
    await signer.sign(request);
    expect(key.asked).toHaveLength(2);
  });

  test("15 idle minutes end it; use keeps it, past midnight too", async () => {
    const { signer, key, clock } = open();
    await signer.sign(request);
    await clock.moveTo("2026-11-23T12:14:00Z");
    await signer.sign(request);
    await clock.moveTo("2026-11-23T12:28:59Z");
    await signer.sign(request);
    expect(key.asked).toHaveLength(1);
    await clock.moveTo("2026-11-23T12:45:00Z");
    await signer.sign(request);
    expect(key.asked).toHaveLength(2);
  });

  test("no bytes of it are left in JavaScript's memory; OpenSSL's go with the last reference", async () => {
    setFlagsFromString("--expose_gc");
    const collect = runInNewContext("gc") as () => void;
    const { createPrivateKey } = crypto;
    const secretBuffers = watchSecretBuffers();
    let made = 0;
    let collected = 0;
    const gone = new FinalizationRegistry(() => {
      collected += 1;
    });
    const watch = ((input: { key: Buffer }) => {
      expect(input.key.subarray(7, 39).every((byte) => byte === 0)).toBe(false);
      const privateKey = createPrivateKey(input as crypto.PrivateKeyInput);
      gone.register(privateKey, undefined);
      made += 1;
      return privateKey;
    }) as typeof createPrivateKey;
    // No spy of jest's: that would keep the keys.
    crypto.createPrivateKey = watch;
    restore = () => {
      crypto.createPrivateKey = createPrivateKey;
    };
    const ends: ((signer: HmacSignerV4a, key: CountedKey) => unknown)[] = [
      (signer) => signer.close(),
      (_, key) => key.close(),
      () => undefined,
    ];
    const clock = new ManualClock("2026-11-23T12:00:00Z");
    for (const end of ends) {
      await (async () => {
        const key = counted(insecureMemoryKey(secret, { algorithm: "sigv4a" }));
        const signer = new HmacSignerV4a({ key, accessKeyId, regionSet: "*", service: "s3" }, clock);
        await signer.sign(request);
        await end(signer, key);
        expect(key.answers.flatMap((answer) => [...answer]).every((byte) => byte === 0)).toBe(true);
      })();
    }
    expect(made).toBe(3);
    const held = secretBuffers();
    expect(held.length).toBeGreaterThanOrEqual(6);
    for (const bytes of held) expect(bytes.every((byte) => byte === 0)).toBe(true);
    await until("the private keys' end", () => {
      collect();
      return collected === 3;
    });
  });
});

test.each<[string, Partial<HmacSignerV4aOptions>]>([
  ["key", { key: wrong({}) }],
  ["accessKeyId", { accessKeyId: "" }],
  ["regionSet", { regionSet: "" }],
  ["regionSet", { regionSet: [] }],
  ["regionSet", { regionSet: ["us east"] }],
  ["regionSet", { regionSet: wrong(undefined) }],
  ["service", { service: "" }],
  ["keyCache", { keyCache: wrong("day") }],
  ["sessionToken", { sessionToken: wrong(5) }],
])("%s is checked: %j", (name, options) => {
  expect(() => open(options)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining(name) }),
  );
});

test("what cannot be signed is refused as for SigV4", async () => {
  const { signer } = open({ service: "sqs" });
  await expect(signer.sign({ ...request, headers: wrong({ n: 1 }) })).rejects.toEqual(
    refusal("ERR_SIGN_INPUT"),
  );
  await expect(signer.sign(request, { signingRegion: "a/b" })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
  await expect(signer.sign({ ...request, body: wrong(new Blob([])) })).rejects.toEqual(
    refusal("ERR_SIGN_INPUT"),
  );
  await expect(signer.presign(request, { expiresIn: 0 })).rejects.toEqual(refusal("ERR_EXPIRES_IN"));
  expect(() => insecureMemoryKey(secret, { algorithm: wrong("v4a") })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
});

/** The public key of the plain secret. */
function plainPublicKey(): KeyObject {
  const input = Buffer.from(`\0\0\0\x01AWS4-ECDSA-P256-SHA256\0${accessKeyId}\x01\0\0\x01\0`, "latin1");
  const mac = crypto.createHmac("sha256", `AWS4A${secret}`).update(input).digest("hex");
  return publicKeyOf(BigInt(`0x${mac}`) + 1n);
}
