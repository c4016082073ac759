import { SignatureV4 } from "@smithy/signature-v4";
import {
  type HmacSigner,
  type HmacSignerOptions,
  insecureMemoryKey,
  sdkIdentity,
} from "../../../lib/index.js";
import { type CountedKey, counted } from "../../support/counted.js";
import {
  accessKeyId,
  judge,
  openSigner,
  refusal,
  request,
  secret,
  signingDate,
  wrong,
} from "../../support/signer.js";

describe("life", () => {
  test("two signers and an SDK identity of one key ask it once a day", async () => {
    const key = counted(insecureMemoryKey(secret));
    const { credentials, sha256 } = sdkIdentity({ key, accessKeyId });
    const sdkSigner = new SignatureV4({ region: "us-east-1", service: "sts", credentials, sha256 });
    const signers = [openSigner({ key }), openSigner({ key, service: "s3" }), sdkSigner];
    await Promise.all(
      signers.flatMap((signer) => Array.from({ length: 20 }, () => signer.sign(request, { signingDate }))),
    );
    expect(key.asked).toEqual(["20261123"]);
    await key.close();
  });

  test.each([
    ["scope", 1],
    ["none", 5],
  ] as const)("%s asks %i times for five signatures", async (keyCache, times) => {
    const key = counted(insecureMemoryKey(secret));
    const signer = openSigner({ key, keyCache });
    for (let i = 0; i < 5; i++) {
      const signed = await signer.sign(request, { signingDate });
      expect(signed.headers.authorization).toBe(await judge({}));
    }
    expect(key.asked).toHaveLength(times);
  });

  test("close() ends the signer and not the key", async () => {
    const key: CountedKey = counted(insecureMemoryKey(secret));
    const signer = openSigner({ key });
    await signer.sign(request);
    await signer.close();
    await signer.close();
    for (const call of [
      signer.sign(request),
      signer.sign("text"),
      signer.presign(request),
      signer.presignUrl("https://a.example/"),
    ]) {
      await expect(call).rejects.toEqual(refusal("ERR_CLOSED"));
    }
    expect(key.closed?.aborted).toBe(false);
    await openSigner({ key }).sign(request);
    await key.close();
    await expect(openSigner({ key }).sign(request)).rejects.toEqual(refusal("ERR_CLOSED"));
  });

  test("await using closes it", async () => {
    let kept: HmacSigner;
    {
      await using signer = openSigner();
      kept = signer;
      await signer.sign(request);
    }
    await expect(kept.sign(request)).rejects.toEqual(refusal("ERR_CLOSED"));
  });

  test("the key's error comes through as it is, and the next call can succeed", async () => {
    const key = counted(insecureMemoryKey(secret));
    const failure = new Error("device gone");
    key.failures.push(failure);
    const signer = openSigner({ key });
    await expect(signer.sign(request)).rejects.toBe(failure);
    expect((await signer.sign(request, { signingDate })).headers.authorization).toBe(await judge({}));
  });

  test("credentials that a client has for its event streams do not sign", async () => {
    const signer = openSigner();
    const event = { headers: new Uint8Array(), payload: Buffer.from("x") };
    const options = { signingDate, priorSignature: "" };
    const eventStreamCredentials = { accessKeyId, secretAccessKey: "of somebody else" };
    expect(await signer.sign(event, { ...options, eventStreamCredentials })).toBe(
      await signer.sign(event, options),
    );
  });

  test("an event's own date decides the key", async () => {
    const key = counted(insecureMemoryKey(secret));
    const event = { headers: new Uint8Array(), payload: Buffer.from("x") };
    const signer = openSigner({ key });
    for (const date of ["2026-11-23T23:59:59Z", "2026-11-24T00:00:00Z", "2026-11-23T23:59:59Z"]) {
      await signer.sign(event, { signingDate: date, priorSignature: "" });
    }
    expect(key.asked).toEqual(["20261123", "20261124"]);
  });
});

describe("options that are refused", () => {
  test("regions", async () => {
    await expect(openSigner({ region: "" }).sign(request)).rejects.toEqual(refusal("ERR_REGION_MISSING"));
    const none = async (): Promise<string> => wrong(undefined);
    await expect(openSigner({ region: none }).sign(request)).rejects.toEqual(refusal("ERR_REGION_MISSING"));
    await expect(openSigner({ region: "*" }).sign(request)).rejects.toEqual(
      refusal("ERR_SIGV4A_UNSUPPORTED"),
    );
    for (const region of ["eu-central-1\n", "eu/central", "eu central"]) {
      await expect(openSigner({ region }).sign(request)).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
    }
    const anywhere = { signingRegion: "*" };
    await expect(openSigner().sign(request, anywhere)).rejects.toEqual(refusal("ERR_SIGV4A_UNSUPPORTED"));
    await expect(openSigner().presign(request, anywhere)).rejects.toEqual(refusal("ERR_SIGV4A_UNSUPPORTED"));
    const fromProvider = openSigner({ region: async () => "eu-central-1" });
    expect((await fromProvider.sign(request, { signingDate })).headers.authorization).toBe(await judge({}));
  });

  test("a service of nothing, for which smithy signs another than it writes", async () => {
    for (const signingService of ["", "s3/x"]) {
      await expect(openSigner().sign(request, { signingService })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
      await expect(openSigner().presign(request, { signingService })).rejects.toEqual(
        refusal("ERR_SIGN_INPUT"),
      );
    }
  });

  test.each<[string, Partial<HmacSignerOptions>]>([
    ["accessKeyId", { accessKeyId: "a/b" }],
    ["sessionToken", { sessionToken: wrong(5) }],
    ["service", { service: "" }],
    ["service", { service: "s3/x" }],
    ["key", { key: wrong({}) }],
    ["keyCache", { keyCache: wrong("week") }],
  ])("option %s", (_, options) => {
    expect(() => openSigner(options)).toThrow(refusal("ERR_INVALID_ARGUMENT"));
  });
});
