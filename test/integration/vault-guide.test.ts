import { readFileSync } from "node:fs";
import path from "node:path";
import type { VaultError } from "../../lib/core/errors.js";
import { openVaultKey } from "../../lib/keys/vault.js";
import { removeVaultKey } from "../../lib/provision/vault/housekeeping.js";
import { importVaultKey } from "../../lib/provision/vault.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { type Bao, baoProgram, callBao, startBao } from "../support/bao.js";
import { expectRightUrl, follow } from "../support/guide.js";
import { freePorts } from "../support/ports.js";
import { describeWith } from "../support/requirements.js";

const page = "docs/vault.md";

describeWith(["openbao"], "who follows docs/vault.md gets a right signature", () => {
  test("on a server in memory: as written, but for the port", async () => {
    const port = await freePorts(2);
    const guide = { page, heading: "### On a server in memory", programs: "## A first walk" };
    const output = await follow(guide, (text) => {
      const own = text.replaceAll("127.0.0.1:8200", `127.0.0.1:${port}`);
      const server = own.replace(
        "> server.log &",
        "> server.log & server=$!; trap 'kill $server; wait $server' EXIT",
      );
      const unset = "unset BAO_ADDR BAO_TOKEN BAO_NAMESPACE VAULT_NAMESPACE";
      return `export PATH=${path.dirname(baoProgram)}:$PATH HOME=$PWD; ${unset}\n${server}`;
    });
    expect(output).toContain(`vault:http://127.0.0.1:${port}/transit/signer?version=1\n`);
    expect(output).toMatch(/allow_plaintext_backup +false\nexportable +false\n/);
    expectRightUrl(output);
  }, 40_000);
});

describeWith(["openbao"], "the policies of docs/vault.md", () => {
  let bao: Bao;
  const tokens = { signer: "", provisioner: "" };
  const other = `${secret.slice(1)}z`;

  beforeAll(async () => {
    bao = await startBao();
    const text = readFileSync(path.join(__dirname, "..", "..", page), "utf8");
    for (const name of ["signer", "provisioner"] as const) {
      const [, policy = ""] = new RegExp(`\`\`\`hcl\n(# ${name}\\.hcl:[\\s\\S]*?)\`\`\``).exec(text) ?? [];
      tokens[name] = await bao.tokenWith(policy, { no_default_policy: true });
    }
    await bao.call("transit/keys/another", { body: { type: "hmac", key_size: 32 } });
  });
  afterAll(() => bao?.stop());

  const place = (token: string) => ({ address: bao.address, token, name: "signer" });
  const call = (who: keyof typeof tokens, method: string, where: string, body?: object) =>
    callBao(bao.address, undefined, where, {
      method: method as "GET",
      ...(body && { body }),
      token: tokens[who],
    });
  const expectDenied = async (who: keyof typeof tokens, method: string, where: string, body?: object) => {
    const denied = { status: 403, errors: [expect.stringContaining("permission denied")] };
    await expect(call(who, method, where, body)).rejects.toMatchObject(denied);
  };

  test("let a provisioner import and renew the key", async () => {
    expect(await importVaultKey(Buffer.from(secret), place(tokens.provisioner))).toMatchObject({
      keyVersion: 1,
    });
    const next = { ...place(tokens.provisioner), newVersion: true };
    expect(await importVaultKey(Buffer.from(other), next)).toMatchObject({ keyVersion: 2 });
    const last = { ...place(tokens.provisioner), replace: true };
    expect(await importVaultKey(Buffer.from(secret), last)).toMatchObject({ keyVersion: 3 });
  });

  test("let a signer sign", async () => {
    await using key = await openVaultKey({ ...place(tokens.signer), keyVersion: 3 });
    expect(await Promise.all([key.mac(Buffer.from("a")), key.mac(Buffer.from("b"))])).toHaveLength(2);
  });

  const input = { input: "AAAA", key_version: 3 };
  const imported = { ciphertext: "AAAA", type: "hmac", hash_function: "SHA256" };

  test.each<[string, string, object?]>([
    ["POST", "transit/hmac/signer", input],
    ["POST", "transit/hmac/signer", { ...input, algorithm: "sha2-256" }],
    ["POST", "transit/hmac/signer/sha2-512", input],
    ["POST", "transit/hmac/another/sha2-256", input],
    ["POST", "transit/verify/signer/sha2-256", { ...input, hmac: "vault:v3:AAAA" }],
    ["GET", "transit/keys/signer"],
    ["GET", "transit/keys?list=true"],
    ["POST", "transit/keys/signer", { type: "hmac" }],
    ["DELETE", "transit/keys/signer"],
    ["POST", "transit/keys/signer/config", { exportable: true }],
    ["POST", "transit/keys/signer/config", { deletion_allowed: true }],
    ["POST", "transit/keys/signer/import", imported],
    ["POST", "transit/keys/signer/import_version", imported],
    ["POST", "transit/keys/signer/rotate", {}],
    ["POST", "transit/keys/signer/trim", { min_available_version: 3 }],
    ["GET", "transit/export/hmac-key/signer"],
    ["GET", "transit/backup/signer"],
    ["GET", "transit/wrapping_key"],
    ["POST", "transit/sign/signer", input],
    ["GET", "sys/mounts"],
    ["GET", "auth/token/lookup-self"],
    ["POST", "auth/token/create", {}],
  ])("let a signer not %s %s", (...[method, where, body]) => expectDenied("signer", method, where, body));

  test.each<[string, string, object?]>([
    ["POST", "transit/hmac/signer", input],
    ["POST", "transit/hmac/signer/sha2-256", input],
    ["POST", "transit/hmac/signer/sha2-512", input],
    ["GET", "transit/export/hmac-key/signer"],
    ["GET", "transit/backup/signer"],
    ["POST", "transit/keys/signer", { type: "hmac" }],
    ["POST", "transit/keys/signer/config", { exportable: true }],
    ["POST", "transit/keys/signer/config", { allow_plaintext_backup: true }],
    ["POST", "transit/keys/signer/config", { deletion_allowed: true, exportable: true }],
    ["POST", "transit/keys/signer/import", { ...imported, exportable: true }],
    ["POST", "transit/keys/signer/import", { ...imported, exportable: "true" }],
    ["POST", "transit/keys/signer/import", { ...imported, allow_plaintext_backup: true }],
    ["POST", "transit/keys/signer/import", { ...imported, allow_rotation: true }],
    ["POST", "transit/keys/signer/import", { ...imported, type: "aes256-gcm96" }],
    ["POST", "transit/keys/signer/rotate", {}],
    ["GET", "transit/keys/another"],
    ["POST", "transit/keys/another/import", imported],
    ["DELETE", "transit/keys/another"],
    ["POST", "transit/restore/signer", { backup: "AAAA" }],
    ["GET", "sys/policies/acl?list=true"],
    ["POST", "auth/token/create", {}],
  ])("let a provisioner not %s %s", (...[method, where, body]) =>
    expectDenied("provisioner", method, where, body),
  );

  test("make the errors name what is missing", async () => {
    const refused = importVaultKey(Buffer.from(secret), { ...place(tokens.signer), newVersion: true });
    const error = await refused.catch((reason) => reason as VaultError);
    expect(error).toMatchObject({ status: 403 });
    expect((error as VaultError).message).toContain('path "transit/keys/signer" { capabilities = ["read"] }');
  });

  test("let a provisioner remove the key in the end", async () => {
    await removeVaultKey(place(tokens.provisioner));
    await expect(bao.call("transit/keys/signer")).rejects.toMatchObject({ status: 404 });
  });
});
