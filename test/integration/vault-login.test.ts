import { writeFileSync } from "node:fs";
import path from "node:path";
import { openVaultKey } from "../../lib/keys/vault.js";
import { importVaultKey } from "../../lib/provision/vault.js";
import { type VaultAppRoleOptions, vaultAppRole, vaultKubernetes } from "../../lib/vault/auth.js";
import type { VaultServerOptions } from "../../lib/vault/options.js";
import { secretAccessKey } from "../support/backends.js";
import { type Bao, startBao } from "../support/bao.js";
import { runExample, signatureOf } from "../support/example.js";
import { describeWith } from "../support/requirements.js";
import { type Cluster, startCluster } from "../support/token-review.js";
import { vaultFailure } from "../support/vault-failure.js";

const message = Buffer.from("20261123");
const policy = 'path "transit/hmac/signer/sha2-256" { capabilities = ["update"] }';
const url = "https://my-bucket.s3.eu-central-1.amazonaws.com/report.pdf";

describeWith(["openbao"], "logins to Vault and OpenBao", () => {
  let bao: Bao;
  let cluster: Cluster;
  let reference: string;
  let roleId: string;

  beforeAll(async () => {
    bao = await startBao({ tls: true });
    cluster = await startCluster(bao);
    const { address, token, ca } = bao;
    const place = { address, token, ca, name: "signer" };
    ({ reference } = await importVaultKey(Buffer.from(secretAccessKey), place));
    await bao.call("sys/policies/acl/signer", { body: { policy } });
    await bao.call("sys/auth/approle", { body: { type: "approle" } });
    const role = { token_policies: "signer", token_ttl: "3s", token_max_ttl: "1h", secret_id_num_uses: 0 };
    await bao.call("auth/approle/role/signer", { body: role });
    roleId = (await bao.call("auth/approle/role/signer/role-id")).data.role_id;
    const bound = { bound_service_account_names: "signer", bound_service_account_namespaces: "apps" };
    await bao.call("auth/kubernetes/role/signer", {
      body: { ...bound, token_policies: "signer", token_ttl: "1m" },
    });
  });
  afterAll(async () => {
    await cluster?.stop();
    await bao?.stop();
  });

  const open = (token: VaultServerOptions["token"]) =>
    openVaultKey({ address: bao.address, ca: bao.ca, token, name: "signer" });
  const newSecretId = async (body = {}): Promise<string> =>
    (await bao.call("auth/approle/role/signer/secret-id", { body })).data.secret_id;
  /** The accessors of all tokens, which name them without giving them away. */
  const accessors = async (): Promise<string[]> =>
    (await bao.call("auth/token/accessors?list=true")).data.keys;
  const file = (name: string, text: string): string => {
    const where = path.join(bao.folder, name);
    writeFileSync(where, text);
    return where;
  };

  describe("by AppRole", () => {
    test.each<[string, (secretId: string) => Partial<VaultAppRoleOptions>]>([
      ["a string", (secretId) => ({ secretId })],
      ["bytes", (secretId) => ({ secretId: Buffer.from(secretId) })],
      ["a function", (secretId) => ({ secretId: async () => secretId })],
      ["a file", (secretId) => ({ secretIdFile: file("secret-id", `${secretId}\n`) })],
    ])("with a secret ID in %s", async (_, how) => {
      await using key = await open(vaultAppRole({ roleId, ...how(await newSecretId()) }));
      expect(await key.mac(message)).toHaveLength(32);
    });

    test("one login serves many calls, and lasts beyond its lease though its secret ID was for one use", async () => {
      const before = await accessors();
      const secretId = await newSecretId({ num_uses: 1 });
      await using key = await open(vaultAppRole({ roleId, secretId }));
      const made = async () => (await accessors()).filter((accessor) => !before.includes(accessor));
      const [own, ...others] = await made();
      expect(others).toEqual([]);
      const end = Date.now() + 5_000; // the lease is three seconds
      while (Date.now() < end) {
        await Promise.all(Array.from({ length: 20 }, () => key.mac(message)));
        await new Promise((next) => setTimeout(next, 250));
      }
      expect(await made()).toEqual([own]);
      const again = vaultFailure(open(vaultAppRole({ roleId, secretId })));
      expect(await again).toMatchObject({ code: "ERR_VAULT_TOKEN", status: 400 });
    });

    test("a token that was revoked is replaced by another login", async () => {
      await using key = await open(vaultAppRole({ roleId, secretId: await newSecretId() }));
      await bao.call("sys/leases/revoke-prefix/auth/approle", { body: {} });
      const macs = await Promise.all(Array.from({ length: 20 }, () => key.mac(message)));
      expect(new Set(macs.map((mac) => Buffer.from(mac).toString("hex"))).size).toBe(1);
    });

    test("a role without secret IDs", async () => {
      const role = { token_policies: "signer", bind_secret_id: false, token_bound_cidrs: "127.0.0.1/32" };
      await bao.call("auth/approle/role/bare", { body: role });
      const { data } = await bao.call("auth/approle/role/bare/role-id");
      await using key = await open(vaultAppRole({ roleId: data.role_id }));
      expect(await key.mac(message)).toHaveLength(32);
    });

    test("a wrong secret ID, a wrong mount, a file that is not there, and a function that fails", async () => {
      const wrong = await vaultFailure(open(vaultAppRole({ roleId, secretId: "no-secret-of-theirs" })));
      expect(wrong).toMatchObject({ code: "ERR_VAULT_TOKEN", operation: "POST auth/approle/login" });
      expect(wrong.message).not.toContain("no-secret-of-theirs");
      const mount = vaultAppRole({ roleId, secretId: "x", mount: "nowhere" });
      expect(await vaultFailure(open(mount))).toMatchObject({
        code: expect.stringMatching(/^ERR_VAULT_(TOKEN|MOUNT)$/),
      });
      const none = await vaultFailure(
        open(vaultAppRole({ roleId, secretIdFile: path.join(bao.folder, "none") })),
      );
      expect(none).toMatchObject({ code: "ERR_VAULT_TOKEN" });
      expect(none.message).toContain("secretIdFile");
      const cause = new Error("no secret today");
      const failing = vaultAppRole({ roleId, secretId: () => Promise.reject(cause) });
      expect(await vaultFailure(open(failing))).toMatchObject({ code: "ERR_VAULT_TOKEN", cause });
    });

    test.each([
      [{ roleId: "" }, "roleId"],
      [{ roleId: 7 as never }, "roleId"],
      [{ roleId: "x", secretId: "a b" }, "secretId"],
      [{ roleId: "x", secretId: "" }, "secretId"],
      [{ roleId: "x", secretId: 'a"b' }, "secretId"],
      [{ roleId: "x", secretId: "x", secretIdFile: "/x" }, "secretIdFile"],
      [{ roleId: "x", mount: "../sys" }, "mount"],
      [{ roleId: "x", mount: "" }, "mount"],
    ])("%j is no way to log in", (options, option) => {
      expect(() => vaultAppRole(options)).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
      expect(() => vaultAppRole(options)).toThrow(option);
    });
  });

  describe("by a Kubernetes service account", () => {
    test("with the token in a file, or given", async () => {
      const before = cluster.reviews();
      const jwtFile = file("jwt", cluster.jwt);
      for (const token of [
        vaultKubernetes({ role: "signer", jwtFile }),
        vaultKubernetes({ role: "signer", jwt: cluster.jwt, mount: "kubernetes" }),
      ]) {
        await using key = await open(token);
        expect(await key.mac(message)).toHaveLength(32);
      }
      expect(cluster.reviews()).toBe(before + 2);
    });

    test("outside of a pod there is no file", async () => {
      const error = await vaultFailure(open(vaultKubernetes({ role: "signer" })));
      expect(error).toMatchObject({ code: "ERR_VAULT_TOKEN" });
      expect(error.message).toContain("/var/run/secrets/kubernetes.io/serviceaccount/token");
    });

    test("another role, and another cluster's token", async () => {
      const role = vaultKubernetes({ role: "none", jwt: cluster.jwt });
      expect(await vaultFailure(open(role))).toMatchObject({ code: "ERR_VAULT_TOKEN", status: 400 });
      const [head, , mark] = cluster.jwt.split(".");
      const forged = `${head}.${Buffer.from('{"sub":"system:serviceaccount:apps:root"}').toString("base64url")}.${mark}`;
      const error = await vaultFailure(open(vaultKubernetes({ role: "signer", jwt: forged })));
      expect(error.code).toMatch(/^ERR_VAULT_(TOKEN|UNAVAILABLE)$/);
      expect(error.message).not.toContain(forged);
    });
  });

  describe("examples/vault.mjs", () => {
    const run = async (env: NodeJS.ProcessEnv) => {
      const shared = {
        AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE",
        VAULT_CACERT: bao.caFile,
        SIGNING_KEY: reference,
      };
      return runExample("vault.mjs", { args: [url], env: { ...shared, ...env } });
    };
    const expectSigned = async ({ code, stdout, stderr }: Awaited<ReturnType<typeof run>>) => {
      expect([code, stderr]).toEqual([0, ""]);
      const presigned = new URL(stdout.trim());
      expect(presigned.searchParams.get("X-Amz-Signature")).toBe(await signatureOf("report.pdf", presigned));
    };

    test("presigns after a login by AppRole, by Kubernetes, and with a token of the environment", async () => {
      const SECRET_ID_FILE = file("id", await newSecretId());
      await expectSigned(await run({ ROLE_ID: roleId, SECRET_ID_FILE }));
      await expectSigned(await run({ KUBERNETES_ROLE: "signer", JWT_FILE: file("jwt", cluster.jwt) }));
      await expectSigned(await run({ VAULT_TOKEN: await bao.tokenWith(policy) }));
    });

    test("says what is wrong, and gives nothing", async () => {
      const { code, stdout, stderr } = await run({ ROLE_ID: roleId, SECRET_ID_FILE: file("id", "wrong") });
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^ERR_VAULT_TOKEN POST auth\/approle\/login: refused/);
    });
  });

  test("once the account is gone the login is refused", async () => {
    cluster.removeAccount();
    const error = await vaultFailure(open(vaultKubernetes({ role: "signer", jwt: cluster.jwt })));
    expect(error).toMatchObject({ code: "ERR_VAULT_TOKEN", status: 403 });
  });
});
