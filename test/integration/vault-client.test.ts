import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import path from "node:path";
import { VaultError } from "../../lib/core/errors.js";
import { VaultClient } from "../../lib/vault/client.js";
import { checkVaultServer, type VaultServerOptions } from "../../lib/vault/options.js";
import { type Bao, startBao } from "../support/bao.js";
import { type Front, startFront } from "../support/front.js";
import { freePorts } from "../support/ports.js";
import { until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { vaultFailure } from "../support/vault-failure.js";
import { warningsDuring } from "../support/warnings.js";

const open: VaultClient[] = [];

/** A client without this process's environment, which is closed after the test. */
function client(options: VaultServerOptions): VaultClient {
  const one = new VaultClient(checkVaultServer(options, {}));
  open.push(one);
  return one;
}

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

describeWith(["openbao"], "the client of Vault and OpenBao", () => {
  let bao: Bao;
  let front: Front;
  const hmac = "transit/hmac/signer/sha2-256";
  const mac = (one: VaultClient, options = {}) =>
    one.request("POST", hmac, { input: "AAAA", key_version: 1 }, options);
  const policy = 'path "transit/hmac/signer/sha2-256" { capabilities = ["update"] }';

  beforeAll(async () => {
    bao = await startBao();
    front = await startFront(bao.port);
    await bao.call("transit/keys/signer", { body: { type: "hmac", key_size: 32 } });
  });
  afterAll(async () => {
    await front?.stop();
    await bao?.stop();
  });
  beforeEach(() => {
    front.seen.length = 0;
    front.treat((_, __, pass) => pass());
  });

  const viaFront = (options: VaultServerOptions = {}): VaultClient =>
    client({ address: front.address, token: bao.token, ...options });
  test("gives the data of an answer, as the server gives it to others", async () => {
    const { data } = await bao.call(hmac, { body: { input: "AAAA", key_version: 1 } });
    expect(await mac(viaFront())).toEqual(data);
    const secret = await mac(viaFront(), { secrets: ["hmac"] });
    expect(secret).toEqual({ hmac: Buffer.from(data.hmac) });
    expect(await viaFront().request("DELETE", "sys/policies/acl/none")).toEqual({});
    const { keys } = await viaFront().request("GET", "transit/keys?list=true");
    expect(keys).toEqual(["signer"]);
  });

  test("says that it is a request for Vault, and keeps its connection", async () => {
    const one = viaFront();
    let connections = 0;
    front.treat(({ headers }, answer, pass) => {
      expect(headers["x-vault-request"]).toBe("true");
      if (answer.req.socket.listenerCount("seen") === 0) connections++;
      answer.req.socket.on("seen", () => undefined);
      pass();
    });
    for (let n = 0; n < 5; n++) await mac(one);
    expect(connections).toBe(1);
  });

  describe("tokens", () => {
    test("a value, as a string or as bytes, which are not changed", async () => {
      const bytes = Buffer.from(bao.token);
      const one = viaFront({ token: bytes });
      await mac(one);
      one.close();
      expect(bytes.toString()).toBe(bao.token);
      await expect(mac(one)).rejects.toMatchObject({ code: "ERR_CLOSED" });
    });

    test("false sends none", async () => {
      const error = await vaultFailure(mac(viaFront({ token: false })));
      expect(error).toMatchObject({ code: "ERR_VAULT_TOKEN", status: 403 });
      expect(front.seen.map(({ headers }) => headers["x-vault-token"])).toEqual([undefined]);
    });

    test("a file is read for each request", async () => {
      const tokenFile = path.join(bao.folder, "token");
      const one = viaFront({ token: undefined, tokenFile });
      await expect(mac(one)).rejects.toMatchObject({ code: "ERR_VAULT_TOKEN", status: 0 });
      const tokens = [await bao.tokenWith(policy), await bao.tokenWith(policy)];
      for (const token of tokens) {
        writeFileSync(tokenFile, `${token}\n`);
        await mac(one);
      }
      expect(front.seen.map(({ headers }) => headers["x-vault-token"])).toEqual(tokens);
      writeFileSync(tokenFile, "\n");
      expect((await vaultFailure(mac(one))).message).toContain("is empty");
      writeFileSync(tokenFile, '{"token":"s.x","accessor":""}');
      expect((await vaultFailure(mac(one))).message).toContain("wrap_ttl");
    });

    test("a file that changes while its old token is refused is read once more", async () => {
      const tokenFile = path.join(bao.folder, "token");
      writeFileSync(tokenFile, "expired");
      front.treat((_, __, pass) => {
        writeFileSync(tokenFile, bao.token);
        pass();
      });
      await mac(viaFront({ token: undefined, tokenFile }));
      expect(front.seen.map(({ headers }) => headers["x-vault-token"])).toEqual(["expired", bao.token]);
    });

    test("a function is asked once for many calls, and again once its token is revoked", async () => {
      const asked: boolean[] = [];
      const given: string[] = [];
      const one = viaFront({
        token: async ({ refused }) => {
          asked.push(refused);
          given.push(await bao.tokenWith(policy));
          return given.at(-1) as string;
        },
      });
      await Promise.all(Array.from({ length: 20 }, () => mac(one)));
      expect(asked).toEqual([false]);
      await bao.call("auth/token/revoke", { body: { token: given[0] } });
      await Promise.all(Array.from({ length: 20 }, () => mac(one)));
      expect(asked).toEqual([false, true]);
    });

    test("a function whose new token is refused too is not asked again and again", async () => {
      let asked = 0;
      const one = viaFront({ token: async () => `wrong-${++asked}` });
      for (let n = 0; n < 4; n++) await expect(mac(one)).rejects.toMatchObject({ code: "ERR_VAULT_TOKEN" });
      expect(asked).toBe(2);
    });

    test.each([
      ["throws", () => Promise.reject(new Error("no login today")), "ERR_VAULT_TOKEN"],
      ["gives nothing", () => undefined as never, "ERR_VAULT_TOKEN"],
      ["gives a line", () => "token\n", "ERR_INVALID_ARGUMENT"],
      ["gives a wrong date", () => ({ token: "x", expiration: 3 as never }), "ERR_INVALID_ARGUMENT"],
    ])("a function that %s", async (_, token, code) => {
      await expect(mac(viaFront({ token }))).rejects.toMatchObject({ code });
    });

    test("a function that hangs is given up, and told so", async () => {
      let told: AbortSignal | undefined;
      const one = viaFront({
        timeout: 200,
        token: ({ signal }) => {
          told = signal;
          return new Promise(() => undefined);
        },
      });
      await expect(mac(one)).rejects.toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
      await until("the function is told", () => told?.aborted === true, 1_000);
    });

    test("a login's token is renewed before it ends, and asked for anew at the end of its last lease", async () => {
      let logins = 0;
      // Logging in is a server's own business: this one makes a token with three seconds, renewable up to six.
      const one = viaFront({
        token: async ({ login }) => {
          logins++;
          return login("auth/token/create", {});
        },
      });
      front.treat(({ url, headers, method }, answer, pass) => {
        if (url !== "/v1/auth/token/create") return pass();
        expect([method, headers["x-vault-token"]]).toEqual(["POST", undefined]);
        void bao
          .call("auth/token/create", { body: { ttl: "3s", explicit_max_ttl: "6s", policies: ["default"] } })
          .then((made) => answer.end(JSON.stringify(made)));
      });
      const self = () => one.request("GET", "auth/token/lookup-self");
      const first = (await self()).accessor;
      const end = Date.now() + 4_000;
      while (Date.now() < end) {
        expect((await self()).accessor).toBe(first);
        await new Promise((next) => setTimeout(next, 200));
      }
      expect(logins).toBe(1);
      const renewals = () => front.seen.filter(({ url }) => url.endsWith("/renew-self")).length;
      expect(renewals()).toBeGreaterThanOrEqual(1);
      while (logins === 1 && Date.now() < end + 5_000) {
        await self();
        await new Promise((next) => setTimeout(next, 200));
      }
      expect(logins).toBe(2);
      expect(front.seen.filter(({ url }) => url.endsWith("/create")).length).toBe(2);
    });
  });

  describe("refusals, each with its code and never again", () => {
    const once = async (
      options: VaultServerOptions,
      method: "GET" | "POST",
      where: string,
      body?: object,
    ) => {
      const error = await vaultFailure(viaFront(options).request(method, where, body as never));
      const calls = front.seen.filter(({ url }) => url === `/v1/${where}`).length;
      return { error, calls };
    };

    test("a bad token", async () => {
      const { error, calls } = await once({ token: "nobody" }, "POST", hmac, { input: "AAAA" });
      expect(error).toBeInstanceOf(VaultError);
      expect(error).toMatchObject({
        code: "ERR_VAULT_TOKEN",
        status: 403,
        operation: `POST ${hmac}`,
        retryable: false,
      });
      expect(error.message).not.toContain("nobody");
      expect(calls).toBe(1);
    });

    test("a right that is missing: the message has the policy", async () => {
      const token = await bao.tokenWith(policy);
      const { error, calls } = await once({ token }, "GET", "transit/keys/signer");
      expect(error).toMatchObject({ code: "ERR_VAULT_DENIED", status: 403 });
      expect(error.message).toContain('path "transit/keys/signer" { capabilities = ["read"] }');
      expect(calls).toBe(1);
    });

    test.each([
      ["ERR_KEY_NOT_FOUND", 400, "POST", "transit/hmac/none/sha2-256", { input: "AAAA" }],
      ["ERR_KEY_NOT_FOUND", 404, "GET", "transit/keys/none", undefined],
      ["ERR_VAULT_VERSION", 400, "POST", hmac, { input: "AAAA", key_version: 7 }],
      ["ERR_VAULT_MOUNT", 404, "POST", "nowhere/hmac/signer/sha2-256", { input: "AAAA" }],
      ["ERR_VAULT", 400, "POST", hmac, { input: "!" }],
    ] as const)("%s of status %d: %s %s", async (code, status, method, where, body) => {
      const { error, calls } = await once({}, method, where, body);
      expect(error).toMatchObject({ code, status, retryable: false });
      expect(calls).toBe(1);
    });

    test("a namespace that is not there", async () => {
      const { error } = await once({ namespace: "team/a" }, "POST", hmac, { input: "AAAA" });
      expect(error).toMatchObject({ code: "ERR_VAULT_MOUNT", status: 404 });
      expect(error.message).toContain("team/a");
    });

    test("a message that is too long for the server", async () => {
      const input = Buffer.alloc(34 << 20, "A");
      await expect(viaFront().request("POST", hmac, { input })).rejects.toMatchObject({
        code: "ERR_MESSAGE_LENGTH",
      });
    });
  });

  describe("what passes is waited for", () => {
    /** Answers of the front's own, before it lets the server answer. */
    const first = (...answers: [number, object?, string?][]): void => {
      front.treat((_, answer, pass) => {
        const next = answers.shift();
        if (next === undefined) return pass();
        answer.writeHead(next[0], next[1] as never).end(next[2] ?? JSON.stringify({ errors: ["not now"] }));
      });
    };

    test.each([412, 429, 500, 502, 503, 504])("status %d is tried again", async (status) => {
      first([status], [status, {}, "<html>not JSON</html>"]);
      expect(await mac(viaFront())).toHaveProperty("hmac");
      expect(front.seen.length).toBe(3);
    });

    test.each([400, 401, 403, 404, 405, 409, 422])("status %d is not", async (status) => {
      first([status], [status]);
      expect(await vaultFailure(mac(viaFront()))).toMatchObject({ status });
      expect(front.seen.filter(({ url }) => url.includes("hmac")).length).toBe(1);
    });

    test("but not for ever: four times in all, or as retries says", async () => {
      front.treat((_, answer) => void answer.writeHead(500).end());
      expect(await vaultFailure(mac(viaFront()))).toMatchObject({
        code: "ERR_VAULT_UNAVAILABLE",
        retryable: true,
      });
      expect(front.seen.length).toBe(4);
      expect(await vaultFailure(mac(viaFront({ retries: 0 })))).toMatchObject({ status: 500 });
      expect(front.seen.length).toBe(5);
    });

    test("Retry-After is heeded, unless it is more than the time that is left", async () => {
      first([429, { "Retry-After": "1" }]);
      const begin = performance.now();
      await mac(viaFront());
      expect(performance.now() - begin).toBeGreaterThanOrEqual(990);
      first([429, { "Retry-After": "60" }]);
      expect(await vaultFailure(mac(viaFront()))).toMatchObject({
        code: "ERR_VAULT_UNAVAILABLE",
        status: 429,
      });
    });

    test("the server's own limit of calls", async () => {
      const limit = { path: hmac, rate: 1, interval: "1s" };
      await bao.call("sys/quotas/rate-limit/one", { body: limit });
      try {
        const one = viaFront();
        await Promise.all([mac(one), mac(one)]);
        expect(front.seen.length).toBeGreaterThan(2);
      } finally {
        await bao.call("sys/quotas/rate-limit/one", { method: "DELETE" });
      }
    });

    test("what is not repeatable is not repeated once it may have been done", async () => {
      const one = viaFront();
      for (const status of [500, 502]) {
        first([status]);
        expect(await vaultFailure(mac(one, { repeatable: false }))).toMatchObject({ status });
      }
      front.treat((_, answer) => void answer.destroy());
      expect(await vaultFailure(mac(one, { repeatable: false }))).toMatchObject({
        code: "ERR_VAULT_CONNECTION",
      });
      expect(front.seen.length).toBe(3);
      first([429], [412], [503, {}, '{"errors":["Vault is sealed"]}']);
      expect(await mac(one, { repeatable: false })).toHaveProperty("hmac");
    });

    test("a connection that is cut, before, in and after an answer", async () => {
      const one = viaFront();
      await mac(one);
      front.cut();
      await mac(one); // the connection that was kept is gone
      let cuts = 0;
      front.treat((_, answer, pass) => {
        cuts++;
        if (cuts === 1) answer.destroy();
        else if (cuts === 2)
          answer.writeHead(200, { "Content-Length": 100 }).write("{", () => answer.destroy());
        else pass();
      });
      expect(await mac(one)).toHaveProperty("hmac");
      expect(cuts).toBe(3);
    });
  });

  describe("time", () => {
    test("a server that hangs, before its answer or in it", async () => {
      front.treat(() => undefined);
      const late = { code: "ERR_TIMEOUT", retryable: true, operation: `POST ${hmac}` };
      await expect(mac(viaFront({ timeout: 200 }))).rejects.toMatchObject(late);
      front.treat((_, answer) => void answer.writeHead(200).write('{"data":'));
      await expect(mac(viaFront({ timeout: 200 }))).rejects.toMatchObject(late);
      bao.suspend();
      try {
        const direct = client({ address: bao.address, token: bao.token, timeout: 200 });
        await expect(mac(direct)).rejects.toMatchObject(late);
      } finally {
        bao.resume();
      }
    });

    test("an aborted call rejects with the signal's reason, and others go on", async () => {
      const held: (() => void)[] = [];
      front.treat((_, __, pass) => void held.push(pass));
      const one = viaFront();
      const controller = new AbortController();
      const calls = [mac(one, { signal: controller.signal }), mac(one)];
      const reason = new Error("changed my mind");
      setImmediate(() => controller.abort(reason));
      await expect(calls[0]).rejects.toBe(reason);
      await expect(mac(one, { signal: controller.signal })).rejects.toBe(reason);
      front.treat((_, __, pass) => pass());
      for (const pass of held) pass();
      expect(await calls[1]).toHaveProperty("hmac");
    });

    test("closing breaks off what is in flight, and what waits to be repeated", async () => {
      front.treat(() => undefined);
      const hung = viaFront();
      const waiting = client({ address: `http://127.0.0.1:${await freePorts(1)}`, token: "x", retries: 10 });
      const calls = [mac(hung), mac(waiting)].map((call) => vaultFailure(call));
      await new Promise((next) => setTimeout(next, 50));
      for (const one of [hung, waiting]) one.close();
      for (const call of calls) expect(await call).toMatchObject({ code: "ERR_CLOSED" });
      hung.close();
    });

    test("hundreds of calls at once are no leak to warn of", async () => {
      const one = viaFront();
      expect(await warningsDuring(() => Promise.all(Array.from({ length: 300 }, () => mac(one))))).toEqual(
        [],
      );
    });
  });

  describe("answers that are none of Vault's", () => {
    test.each([
      ["HTML", 200, "<html>", "ERR_VAULT_RESPONSE"],
      ["a number", 200, "3", "ERR_VAULT_RESPONSE"],
      ["a page of a proxy", 407, "<b>no</b>", "ERR_VAULT"],
    ])("%s", async (_, status, text, code) => {
      front.treat((__, answer) => void answer.writeHead(status).end(text));
      await expect(mac(viaFront())).rejects.toMatchObject({ code, status });
    });

    test("one that never ends", async () => {
      front.treat((_, answer) => {
        answer.writeHead(200);
        const more = (): void => {
          answer.write(Buffer.alloc(1 << 16, " "), (error) => error ?? setImmediate(more));
        };
        more();
      });
      await expect(mac(viaFront())).rejects.toMatchObject({ code: "ERR_VAULT_RESPONSE" });
      expect(front.seen.length).toBe(1);
    });

    test("one that echoes the token does not bring it into the error", async () => {
      front.treat(({ headers }, answer) => {
        const text = JSON.stringify({ errors: [`bad header ${headers["x-vault-token"]}\n\u001b[31m`] });
        answer.writeHead(400).end(text);
      });
      const { message } = await vaultFailure(mac(viaFront()));
      expect(message).toContain("bad header (token) [31m");
      expect(message).not.toContain(bao.token);
    });
  });

  describe("redirects", () => {
    const redirect = (location: string, status = 307): void =>
      front.treat((_, answer) => void answer.writeHead(status, { Location: location }).end());

    test.each([301, 302, 307, 308])(
      "%d of a standby server to the active one on the same host",
      async (status) => {
        redirect(`${bao.address}/v1/${hmac}`, status);
        expect(await mac(viaFront())).toHaveProperty("hmac");
      },
    );

    test("not from http to another host, not twice, and never with a password", async () => {
      redirect(`http://localhost:${bao.port}/v1/${hmac}`);
      const { code, message } = await vaultFailure(mac(viaFront()));
      expect(code).toBe("ERR_VAULT_RESPONSE");
      expect(message).toContain(`redirects to http://localhost:${bao.port}, where the token is not sent`);
      redirect(`http://user:word@127.0.0.1:${bao.port}/v1/${hmac}`);
      expect(await vaultFailure(mac(viaFront()))).toMatchObject({ code: "ERR_VAULT_RESPONSE" });
      front.seen.length = 0;
      redirect(`${front.address}/v1/${hmac}`);
      expect(await vaultFailure(mac(viaFront()))).toMatchObject({ status: 307 });
      expect(front.seen.length).toBe(2);
    });
  });

  test("nobody listens", async () => {
    const address = `http://127.0.0.1:${await freePorts(1)}`;
    const error = await vaultFailure(mac(client({ address, token: "x" })));
    expect(error).toMatchObject({ code: "ERR_VAULT_CONNECTION", status: 0, retryable: true });
    expect(error.message).toContain(`${address} cannot be reached (ECONNREFUSED)`);
  });

  test("an agent of the program's own is used and not destroyed", async () => {
    const agent = new Agent({ keepAlive: true });
    const one = viaFront({ agent });
    await mac(one);
    one.close();
    expect(Object.keys(agent.freeSockets)).toEqual([`127.0.0.1:${front.port}:`]);
    agent.destroy();
    const other = viaFront({ address: "https://127.0.0.1:1", agent });
    await expect(mac(other)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });
});
