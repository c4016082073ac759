// The local half of examples/azure-kek.mjs, with a client whose RSA key is Node's own. Nothing here is Azure's.
import path from "node:path";
import { secretAccessKey } from "../support/backends.js";
import { runTool } from "../support/process.js";

/** Runs statements in a process of its own, where the example's parts are; gives what `result` holds in the end. */
async function withExample(statements: string): Promise<Record<string, unknown>> {
  const program = `
    import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from "node:crypto";
    import { azureAead } from ${JSON.stringify(path.join(__dirname, "../../examples/azure-kek.mjs"))};
    import { importTinkKey, openTinkKey } from "aws-hmac";
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
    const only = (algorithm) => { if (algorithm !== "RSA-OAEP-256") throw new Error(algorithm); };
    const client = {
      async wrapKey(algorithm, key) {
        only(algorithm);
        return { result: publicEncrypt({ key: publicKey, ...oaep }, key) };
      },
      async unwrapKey(algorithm, wrapped) {
        only(algorithm);
        return { result: privateDecrypt({ key: privateKey, ...oaep }, wrapped) };
      },
    };
    const aead = azureAead(client);
    const result = {};
    const refusal = (call) => call.then(() => "done", ({ code, message }) => code ?? message);
    ${statements}
    console.log(JSON.stringify(result));`;
  const cwd = path.join(__dirname, "..", "..");
  return JSON.parse(await runTool(process.execPath, ["--input-type=module", "-e", program], { cwd }));
}

test("a keyset is encrypted, and only decrypted as it was made", async () => {
  const result = await withExample(`
    const associatedData = Buffer.from("signer");
    const secret = Buffer.from(${JSON.stringify(secretAccessKey)});
    const { keyset } = await importTinkKey(secret, { aead, associatedData });
    const key = await openTinkKey({ keyset, aead, associatedData });
    result.mac = Buffer.from(await key.mac(Buffer.from("20150830"))).toString("hex");
    result.otherData = await refusal(openTinkKey({ keyset, aead }));
  `);
  expect(result).toEqual({
    // kDate of AWS's published example of deriving a signing key
    mac: "0138c7a6cbd60aa727b2f653a522567439dfb9f3e72b21f9b25941a42f04a7cd",
    otherData: "ERR_KEYSET_DECRYPT",
  });
});

test("a ciphertext that was changed anywhere, or cut off, is refused", async () => {
  const result = await withExample(`
    const data = Buffer.from("data");
    const ciphertext = await aead.encrypt(Buffer.from("plaintext"), data);
    result.length = ciphertext.length;
    result.plaintext = Buffer.from(await aead.decrypt(ciphertext, data)).toString();
    result.taken = [];
    for (let at = 0; at < ciphertext.length; at++) {
      const changed = Buffer.from(ciphertext);
      changed[at] ^= 1;
      if ((await refusal(aead.decrypt(changed, data))) === "done") result.taken.push(at);
      if ((await refusal(aead.decrypt(ciphertext.subarray(0, at), data))) === "done") result.taken.push(-at);
    }
  `);
  expect(result).toEqual({ length: 2 + 256 + 12 + 16 + 9, plaintext: "plaintext", taken: [] });
});

test("a Key Vault that is away is told from one that refuses", async () => {
  const result = await withExample(`
    const secret = Buffer.from(${JSON.stringify(secretAccessKey)});
    const { keyset } = await importTinkKey(secret, { aead });
    for (const [name, statusCode] of [["away", undefined], ["busy", 429], ["failing", 503], ["refusing", 403]]) {
      const error = Object.assign(new Error("Azure says no"), { name: "RestError", statusCode });
      const failing = azureAead({ unwrapKey: async () => { throw error; } });
      result[name] = await refusal(openTinkKey({ keyset, aead: failing }));
    }
  `);
  expect(result).toEqual({
    away: "ERR_KMS_UNAVAILABLE",
    busy: "ERR_KMS_UNAVAILABLE",
    failing: "ERR_KMS_UNAVAILABLE",
    refusing: "ERR_KEYSET_DECRYPT",
  });
});
