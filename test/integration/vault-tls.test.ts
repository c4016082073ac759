import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import path from "node:path";
import type { VaultError } from "../../lib/core/errors.js";
import { VaultClient } from "../../lib/vault/client.js";
import { checkVaultServer, type VaultServerOptions } from "../../lib/vault/options.js";
import { type Bao, startBao } from "../support/bao.js";
import { close, freePorts, listen } from "../support/ports.js";
import { describeWith } from "../support/requirements.js";
import { vaultFailure } from "../support/vault-failure.js";

describeWith(["openbao"], "TLS to Vault and OpenBao", () => {
  let bao: Bao;
  let pem: (name: string) => string;

  beforeAll(async () => {
    bao = await startBao({ tls: true });
    pem = (name) => readFileSync(path.join(bao.folder, "tls", `vault-${name}.pem`), "utf8");
  });
  afterAll(() => bao?.stop());

  const health = async (options: VaultServerOptions, environment = {}): Promise<boolean> => {
    const given = { address: bao.address, token: bao.token, retries: 0, ...options };
    const client = new VaultClient(checkVaultServer(given, environment));
    try {
      const { keys } = await client.request("GET", "sys/policies/acl?list=true");
      return Array.isArray(keys);
    } finally {
      client.close();
    }
  };
  const failure = (options: VaultServerOptions, environment = {}): Promise<VaultError> =>
    vaultFailure(health(options, environment));

  /** A server of our own with OpenBao's certificate. */
  const withServer = async (
    options: object,
    answer: Parameters<typeof createServer>[1],
    use: (address: string) => Promise<void>,
  ): Promise<void> => {
    const server = createServer({ cert: pem("cert"), key: pem("key"), ...options }, answer);
    const port = await freePorts(1);
    await listen(server, port);
    try {
      await use(`https://127.0.0.1:${port}`);
    } finally {
      server.closeAllConnections();
      await close(server);
    }
  };

  test("with the authority's certificate as a string, as bytes, in a file, and in the environment", async () => {
    const { ca = "", caFile } = bao;
    expect(await health({ ca })).toBe(true);
    expect(await health({ ca: Buffer.from(ca) })).toBe(true);
    expect(await health({ caFile })).toBe(true);
    expect(await health({}, { VAULT_CACERT: caFile })).toBe(true);
    expect(await health({}, { BAO_CACERT: caFile, VAULT_CACERT: "/none" })).toBe(true);
  });

  test("an authority that is not known is not trusted, and the error names the option", async () => {
    const error = await failure({});
    expect(error).toMatchObject({ code: "ERR_VAULT_TLS", status: 0, retryable: false });
    expect(error.message).toContain("as ca or caFile (VAULT_CACERT)");
    const other = await startBao({ tls: true });
    try {
      expect(await failure({ ca: other.ca })).toMatchObject({ code: "ERR_VAULT_TLS" });
    } finally {
      await other.stop();
    }
  });

  test("a certificate for another name is not taken, unless that name is what was asked for", async () => {
    const { ca } = bao;
    const error = await failure({ ca, serverName: "other.example" });
    expect(error).toMatchObject({ code: "ERR_VAULT_TLS" });
    expect(error.message).toContain("serverName");
    expect(await health({ ca, serverName: "localhost" })).toBe(true);
    expect(await health({ ca }, { VAULT_TLS_SERVER_NAME: "localhost" })).toBe(true);
  });

  test("http to a server that speaks TLS, and the reverse", async () => {
    const http = await failure({ address: bao.address.replace("https:", "http:") });
    expect(http).toMatchObject({ code: "ERR_VAULT_TLS" });
    expect(http.message).toContain("address must begin with https://");
    const plain = await startBao();
    try {
      const https = await failure({ address: plain.address.replace("http:", "https:"), ca: bao.ca });
      expect(https).toMatchObject({ code: "ERR_VAULT_TLS" });
      expect(https.message).toContain("see that the server speaks TLS");
    } finally {
      await plain.stop();
    }
  });

  test("a file that is not there, and text that is no certificate", async () => {
    expect(await failure({ caFile: "/none/ca.pem" })).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "caFile: cannot read /none/ca.pem (ENOENT)",
    });
    const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    expect(await failure({ ca: garbage })).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    const pair = { clientCert: pem("cert"), clientKey: garbage };
    expect(await failure({ ca: bao.ca, ...pair })).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });

  test("a server that wants a certificate of the client's", async () => {
    const wanting = { ca: bao.ca, requestCert: true, rejectUnauthorized: true };
    await withServer(
      wanting,
      (_, answer) => void answer.end('{"data":{"keys":[]}}'),
      async (address) => {
        const { ca } = bao;
        const own = { clientCert: pem("cert"), clientKey: Buffer.from(pem("key")) };
        expect(await health({ address, ca, ...own })).toBe(true);
        const files = Object.fromEntries(
          ["cert", "key"].map((name) => [
            `VAULT_CLIENT_${name.toUpperCase()}`,
            path.join(bao.folder, "tls", `vault-${name}.pem`),
          ]),
        );
        expect(await health({ address, ca }, files)).toBe(true);
        const error = await failure({ address, ca });
        expect(error.code).toMatch(/^ERR_VAULT_(TLS|CONNECTION)$/);
      },
    );
  });

  test("a standby server may send to another host by https, with the same authority, and never to http", async () => {
    const { ca } = bao;
    const hits: unknown[] = [];
    let to = bao.address.replace("127.0.0.1", "localhost");
    await withServer(
      {},
      ({ headers, url }, answer) => {
        hits.push(headers["x-vault-token"]);
        answer.writeHead(307, { Location: `${to}${url}` }).end();
      },
      async (address) => {
        expect(await health({ address, ca })).toBe(true);
        expect(hits).toEqual([bao.token]);
        to = "http://127.0.0.1:1";
        const error = await failure({ address, ca });
        expect(error).toMatchObject({ code: "ERR_VAULT_RESPONSE" });
        expect(error.message).toContain("redirects to http://127.0.0.1:1, where the token is not sent");
      },
    );
  });
});
