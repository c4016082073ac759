import type { Aead } from "../../lib/core/aead.js";
import { openKek } from "../../lib/kms/kek.js";
import { type Bao, startBao } from "../support/bao.js";
import { type Answer, startHttp } from "../support/http.js";
import { describeWith } from "../support/requirements.js";
import { watchSecretBuffers } from "../support/secret-buffers.js";
import { tinkAead } from "../support/tink-aead.js";

const none = Buffer.alloc(0);
const keyset = Buffer.from("a keyset's bytes");
const associatedData = Buffer.from([0, 255, 10, 47]);
const policy = ["encrypt", "decrypt"]
  .map((action) => `path "transit/${action}/kek" { capabilities = ["update"] }`)
  .join("\n");

describeWith(["openbao"], "hcvault:// key encryption keys", () => {
  let bao: Bao;
  let uri: string;
  let token: string;
  let kek: Aead;

  beforeAll(async () => {
    bao = await startBao({ tls: true });
    await bao.call("transit/keys/kek", { body: { type: "aes256-gcm96" } });
    token = await bao.tokenWith(policy);
    uri = `hcvault://127.0.0.1:${bao.port}/transit/keys/kek`;
    kek = await openKek(uri, { vault: { token, ca: bao.ca } });
  });
  afterAll(() => bao?.stop());

  test("tink-py decrypts what was encrypted here, and the reverse", async () => {
    const tink = tinkAead({ kek: uri, endpoint: bao.address, token, ca: bao.caFile });
    const ciphertext = await kek.encrypt(keyset, none);
    expect(Buffer.from(ciphertext).toString()).toMatch(/^vault:v1:[\w+/]+=*$/);
    expect(await tink.decrypt(ciphertext, none)).toEqual(keyset);
    expect(await kek.decrypt(await tink.encrypt(keyset, none), none)).toEqual(keyset);
  });

  // tink-py takes none: the server itself is the judge
  test("associated data goes as Transit's associated_data", async () => {
    const data = { associated_data: associatedData.toString("base64") };
    const ciphertext = Buffer.from(await kek.encrypt(keyset, associatedData)).toString();
    const { data: decrypted } = await bao.call("transit/decrypt/kek", { body: { ciphertext, ...data } });
    expect(Buffer.from(decrypted.plaintext, "base64")).toEqual(keyset);
    const body = { plaintext: keyset.toString("base64"), ...data };
    const { data: encrypted } = await bao.call("transit/encrypt/kek", { body });
    expect(await kek.decrypt(Buffer.from(encrypted.ciphertext), associatedData)).toEqual(keyset);
  });

  test("a key in an engine that is mounted elsewhere", async () => {
    await bao.call("sys/mounts/team/keys/crypto", { body: { type: "transit" } });
    await bao.call("team/keys/crypto/keys/kek.2", { body: {} });
    const deep = `hcvault://127.0.0.1:${bao.port}/team/keys/crypto/keys/kek.2`;
    const elsewhere = await openKek(deep, { vault: { token: bao.token, ca: bao.ca } });
    expect(await elsewhere.decrypt(await elsewhere.encrypt(keyset, none), none)).toEqual(keyset);
  });

  test("older versions still decrypt after a rotation, until they may no more", async () => {
    await bao.call("transit/keys/rotated", { body: {} });
    const rotated = await openKek(uri.replace(/kek$/, "rotated"), {
      vault: { token: bao.token, ca: bao.ca },
    });
    const before = await rotated.encrypt(keyset, none);
    await bao.call("transit/keys/rotated/rotate", { body: {} });
    expect(Buffer.from(await rotated.encrypt(keyset, none)).toString()).toMatch(/^vault:v2:/);
    expect(await rotated.decrypt(before, none)).toEqual(keyset);
    await bao.call("transit/keys/rotated/config", { body: { min_decryption_version: 2 } });
    await expect(rotated.decrypt(before, none)).rejects.toMatchObject({ code: "ERR_VAULT_VERSION" });
  });

  test("other associated data, a changed ciphertext and another key's are refused", async () => {
    await bao.call("transit/keys/other", { body: {} });
    const other = await openKek(uri.replace(/kek$/, "other"), { vault: { token: bao.token, ca: bao.ca } });
    const ciphertext = Buffer.from(await kek.encrypt(keyset, associatedData));
    const changed = Buffer.from(ciphertext);
    changed[20] = changed[20] === 0x41 ? 0x42 : 0x41;
    for (const [bytes, data] of [
      [ciphertext, none],
      [changed, associatedData],
      [await other.encrypt(keyset, none), none],
    ] as const) {
      await expect(kek.decrypt(bytes, data)).rejects.toMatchObject({
        ...{ code: "ERR_KMS_DECRYPT", name: "KmsError", operation: "decrypt", retryable: false },
      });
    }
  });

  test("a missing key, right, token and authority each have their code", async () => {
    const vault = { token, ca: bao.ca };
    for (const [name, options, code] of [
      ["absent", { ...vault, token: bao.token }, "ERR_KEY_NOT_FOUND"],
      ["other", vault, "ERR_VAULT_DENIED"],
      ["kek", { ...vault, token: "s.unknown" }, "ERR_VAULT_TOKEN"],
      ["kek", { token }, "ERR_VAULT_TLS"],
    ] as const) {
      const refused = await openKek(uri.replace(/kek$/, name), { vault: options });
      await expect(refused.decrypt(Buffer.from("vault:v1:AAAA"), none)).rejects.toMatchObject({ code });
    }
  });

  test("no copy of the plaintext or the token is left", async () => {
    const made = watchSecretBuffers();
    const ciphertext = await kek.encrypt(keyset, none);
    const plaintext = await kek.decrypt(ciphertext, none);
    const left = made().filter((buffer) => buffer !== plaintext && buffer.some((byte) => byte !== 0));
    expect(plaintext).toEqual(keyset);
    expect(left).toEqual([]);
  });
});

describe("hcvault:// without a server", () => {
  let server: Awaited<ReturnType<typeof startHttp>>;
  afterEach(() => server.stop());

  async function answering(answer: Answer): Promise<Aead> {
    server = await startHttp(() => answer);
    const address = server.endpoint;
    const uri = `hcvault://${new URL(address).host}/transit/keys/kek`;
    return openKek(uri, { vault: { address, token: "a-token", retries: 0 } });
  }

  test("what is no ciphertext of Transit is not sent", async () => {
    const kek = await answering({ status: 200, body: "{}" });
    for (const bytes of [
      "",
      "ciphertext",
      "vault:v0:AAAA",
      "vault:v1:",
      "vault:v1:AA AA",
      "vault:v1:AAAA\n",
    ]) {
      await expect(kek.decrypt(Buffer.from(bytes), none)).rejects.toMatchObject({ code: "ERR_KMS_DECRYPT" });
    }
    expect(server.requests).toEqual([]);
  });

  test.each([
    ["nothing", {}],
    ["no text", { data: { plaintext: 7, ciphertext: 7 } }],
    ["no base64", { data: { plaintext: "a*==", ciphertext: "vault:v1:a*==" } }],
  ])("an answer with %s is refused", async (_, answer) => {
    const kek = await answering({ status: 200, body: JSON.stringify(answer) });
    await expect(kek.encrypt(keyset, none)).rejects.toMatchObject({ code: "ERR_KMS_RESPONSE" });
    await expect(kek.decrypt(Buffer.from("vault:v1:AAAA"), none)).rejects.toMatchObject({
      code: "ERR_KMS_RESPONSE",
    });
  });

  test("an aborted call rejects with the reason", async () => {
    const kek = await answering(undefined);
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    const call = kek.encrypt(keyset, none, { signal: controller.signal });
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
  });
});
