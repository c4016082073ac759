import { AwsHmacError } from "../../../lib/core/errors.js";
import { checkVaultServer, type VaultServerOptions } from "../../../lib/vault/options.js";
import { checkTransitKey } from "../../../lib/vault/transit.js";

const base = { address: "https://vault.example:8200", token: "s.token" };
const pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

function refused(options: VaultServerOptions, environment = {}): AwsHmacError {
  try {
    checkVaultServer(options, environment);
  } catch (error) {
    expect(error).toBeInstanceOf(AwsHmacError);
    return error as AwsHmacError;
  }
  throw new Error("not refused");
}

test.each<[object, string]>([
  [{ address: undefined }, "address is missing: give it, or set VAULT_ADDR"],
  [{ address: "" }, "address"],
  [{ address: "vault.example:8200" }, "address"],
  [{ address: "ftp://vault.example" }, "address"],
  [{ address: "https://" }, "address"],
  [{ address: "https://user:word@vault.example" }, "without user and password"],
  [{ address: "https://vault.example/v1" }, "/v1"],
  [{ address: "https://vault.example?x" }, "address"],
  [{ address: 8200 }, "address"],
  [{ token: undefined }, "token is missing: give token or tokenFile, or set VAULT_TOKEN"],
  [{ token: "" }, "token"],
  [{ token: "s.token\n" }, "trailing newline"],
  [{ token: "tökén" }, "token"],
  [{ token: Buffer.alloc(0) }, "token"],
  [{ token: true }, "token"],
  [{ token: 7 }, "token"],
  [{ tokenFile: "/x" }, "token and tokenFile exclude each other"],
  [{ token: undefined, tokenFile: "" }, "tokenFile"],
  [{ token: undefined, tokenFile: "a\0b" }, "tokenFile"],
  [{ namespace: "a b" }, "namespace"],
  [{ namespace: "a\r\nX-Vault-Token: x" }, "namespace"],
  [{ namespace: "a//b" }, "namespace"],
  [{ namespace: 7 }, "namespace"],
  [{ ca: "/etc/ca.pem" }, "caFile takes a path"],
  [{ ca: Buffer.from("x") }, "ca"],
  [{ ca: 7 }, "ca"],
  [{ ca: pem, caFile: "/x" }, "ca and caFile exclude each other"],
  [{ caFile: "" }, "caFile"],
  [{ clientCert: pem }, "clientCert and clientKey go together"],
  [{ clientKey: pem }, "clientCert and clientKey go together"],
  [{ clientCert: "x", clientKey: pem }, "clientCert"],
  [{ serverName: "a b" }, "serverName"],
  [{ serverName: "" }, "serverName"],
  [{ timeout: 0 }, "timeout"],
  [{ timeout: 1.5 }, "timeout"],
  [{ retries: -1 }, "retries"],
  [{ retries: 11 }, "retries"],
  [{ retries: "3" }, "retries"],
  [{ agent: {} }, "agent"],
  [{ agent: null }, "agent"],
])("%j is refused, and its message names the option", (options, words) => {
  const error = refused({ ...base, ...options } as VaultServerOptions);
  expect(error.code).toBe("ERR_INVALID_ARGUMENT");
  expect(error.message).toContain(words);
});

test("what is not given is taken from the environment; a name of OpenBao counts before Vault's, an empty one not at all", () => {
  const environment = {
    BAO_ADDR: "https://bao.example:8200",
    VAULT_ADDR: "https://vault.example:8200",
    BAO_TOKEN: "",
    VAULT_TOKEN: "s.vault",
    VAULT_NAMESPACE: "team/a/",
    VAULT_CACERT: "/etc/ca.pem",
    BAO_CLIENT_CERT: "/etc/cert.pem",
    VAULT_CLIENT_KEY: "/etc/key.pem",
    VAULT_TLS_SERVER_NAME: "inner.example",
  };
  const server = checkVaultServer({}, environment);
  expect(server).toMatchObject({ namespace: "team/a", timeout: 30_000, retries: 3 });
  expect(server.address.href).toBe("https://bao.example:8200/");
  expect(server.token).toEqual({ kind: "fixed", token: Buffer.from("s.vault") });
  expect(server.tls).toEqual({
    ca: { file: "/etc/ca.pem", option: "VAULT_CACERT" },
    cert: { file: "/etc/cert.pem", option: "VAULT_CLIENT_CERT" },
    key: { file: "/etc/key.pem", option: "VAULT_CLIENT_KEY" },
    servername: "inner.example",
  });
  expect(refused({}, {}).message).toContain("VAULT_ADDR");
});

test("options count before the environment", () => {
  const environment = {
    VAULT_ADDR: "https://a.example",
    VAULT_TOKEN: "s.a",
    VAULT_NAMESPACE: "a",
    VAULT_CACERT: "/a",
  };
  const given = { address: "http://b.example:1", tokenFile: "/run/token", namespace: "", ca: pem };
  const server = checkVaultServer(given, environment);
  expect(server.address.origin).toBe("http://b.example:1");
  expect(server).toMatchObject({
    token: { kind: "file", file: "/run/token" },
    namespace: "",
    tls: { ca: { text: pem } },
  });
  expect(checkVaultServer({ ...base, token: false }, environment).token).toEqual({ kind: "none" });
  expect(checkVaultServer({ ...base, namespace: "root" }, environment).namespace).toBe("");
});

test("this process's own environment is read", () => {
  process.env.VAULT_ADDR = "https://own.example:8200";
  try {
    expect(checkVaultServer({ token: "x" }).address.hostname).toBe("own.example");
  } finally {
    delete process.env.VAULT_ADDR;
  }
});

test.each([
  [{ name: "a" }, { name: "a", mount: "transit" }],
  [
    { name: "a-b.c_9", mount: "/team/transit/" },
    { name: "a-b.c_9", mount: "team/transit" },
  ],
  [
    { name: "a", mount: "x+y@z" },
    { name: "a", mount: "x%2By%40z" },
  ],
])("the key %j is at %j", (options, place) => {
  expect(checkTransitKey(options)).toEqual(place);
});
