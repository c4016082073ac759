import { execFile, execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import type { Finding } from "../../lib/cli/doctor/finding.js";
import { importPkcs11Key } from "../../lib/provision/pkcs11.js";
import { backends } from "../support/backends.js";
import { startBao } from "../support/bao.js";
import { cliEnvironment, cliProgram, keyFlags, runCli } from "../support/cli.js";
import { type Moto, startMoto } from "../support/moto.js";
import { realProcess, temporaryFolder } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { startGateway } from "../support/rgw.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

interface Examined {
  code: unknown;
  stderr: string;
  findings: Finding[];
  /** Those about one thing. */
  about(what: string): Finding[];
}

async function doctor(args: readonly string[], env: NodeJS.ProcessEnv = {}, input = ""): Promise<Examined> {
  const { code, stdout, stderr } = await runCli(["doctor", "--json", ...args], { env, input });
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  for (const { state, remedy } of findings) expect(remedy !== undefined).toBe(state !== "ok");
  const problems = findings.filter(({ state }) => state === "problem").length;
  expect(code).toBe(problems > 0 ? 1 : 0);
  return { code, stderr, findings, about: (what) => findings.filter((one) => one.what === what) };
}
const started = <Backend extends (typeof backends)[number]["name"]>(name: Backend) => {
  const backend = backends.find((one) => one.name === name);
  if (!backend) throw new Error(`no backend ${name}`);
  return backend;
};

test("without a key: the software, and what is missing; a table for people", async () => {
  const { about, code } = await doctor([]);
  expect(code).toBe(0);
  expect(about("Node")).toEqual([
    { state: "ok", what: "Node", found: `${process.version}, with OpenSSL ${process.versions.openssl}` },
  ]);
  const esys = about("libtss2-esys")[0]?.found.split(", ") ?? [];
  expect(execFileSync("dpkg-query", ["--search", esys[1] ?? ""], { encoding: "utf8" })).toContain(
    "libtss2-esys",
  );
  expect(about("key")).toMatchObject([{ state: "warning", remedy: expect.stringContaining("AWS_HMAC_KEY") }]);
  const { stdout } = await runCli(["doctor"]);
  expect(stdout).toMatch(/^state +what +found\nok +Node +v/);
  expect(stdout).toMatch(/\nwarning +key +none is configured\n +-> give --key, set AWS_HMAC_KEY/);
});

test("a reference that cannot be read, and --sts without a key", async () => {
  const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  const { about, stderr, findings } = await doctor(["--sts", secret]);
  expect(about("key 1")).toMatchObject([
    { state: "problem", found: expect.stringContaining("looks like a secret") },
  ]);
  expect(about("STS")).toMatchObject([{ state: "problem", found: "not asked: no key is configured" }]);
  expect(stderr).toMatch(/aws-hmac: there are 2 problems\n$/);
  expect(JSON.stringify(findings)).not.toContain(secret);
});

test("the modules of p11-kit, which are started, leave nothing in the working directory", async () => {
  const { folder, remove } = temporaryFolder("doctor");
  try {
    await promisify(execFile)(process.execPath, [cliProgram, "doctor"], {
      cwd: folder,
      env: cliEnvironment(),
    });
    expect(readdirSync(folder)).toEqual([]);
  } finally {
    remove();
  }
});

test("a reader that has had enough ends it quietly", async () => {
  const pipe = `{ "$NODE" "$PROGRAM" doctor --json; echo "exit $?" >&2; } | head -c 1`;
  const env = cliEnvironment({ NODE: process.execPath, PROGRAM: cliProgram });
  const { stderr } = await promisify(execFile)("sh", ["-c", pipe], { env, timeout: 30_000 });
  expect(stderr).toMatch(/exit 0\n$/);
});

const tpm = started("tpm");
describeWith(tpm.needs, "aws-hmac doctor, a TPM", () => {
  let device: Awaited<ReturnType<typeof tpm.start>>;
  let args: string[];
  let env: NodeJS.ProcessEnv;
  let tcti: string;
  beforeAll(async () => {
    device = await tpm.start();
    ({ args, env } = keyFlags(device.child));
    tcti = decodeURIComponent(/tcti=(.*)/.exec(String(args[1]))?.[1] ?? "");
  });
  afterAll(() => device?.stop());
  const tool = (program: string, ...more: string[]): string =>
    execFileSync(program, ["-T", tcti, ...more], { encoding: "utf8" });
  const property = (kind: "fixed" | "variable", name: string): string =>
    new RegExp(`${name}:(?:\\n +raw:)? +(\\S+)`).exec(tool("tpm2_getcap", `properties-${kind}`))?.[1] ?? "";
  const failedTries = (): number => Number(property("variable", "TPM2_PT_LOCKOUT_COUNTER"));
  /** Gives the key a wrong password. */
  const mistake = async (): Promise<void> => {
    const wrong = await runCli(
      ["presign", ...args, "-i", "AKIA", "-r", "eu-central-1", "https://a.example/"],
      {
        env: { ...env, TEST_PASSWORD: "wrong" },
      },
    );
    expect(wrong.code).toBe(4);
  };

  test("its maker and firmware as tpm2_getcap shows them, and the key signs; nothing is left in it", async () => {
    const { about, code } = await doctor([...args, "-i", "AKIA", "-r", "eu-central-1"], env);
    expect(code).toBe(0);
    const raw = (name: string): Buffer =>
      Buffer.from(property("fixed", name).slice(2).padStart(8, "0"), "hex");
    const words = Buffer.concat([1, 2, 3, 4].map((n) => raw(`TPM2_PT_VENDOR_STRING_${n}`)));
    const [one, two] = [raw("TPM2_PT_FIRMWARE_VERSION_1"), raw("TPM2_PT_FIRMWARE_VERSION_2")];
    const firmware = [one.readUInt16BE(), one.readUInt16BE(2), two.readUInt16BE(), two.readUInt16BE(2)].join(
      ".",
    );
    const vendor = words.toString("latin1").replaceAll("\0", "").trim();
    expect(about(tcti)).toEqual([
      {
        ...{ state: "ok", what: tcti },
        found: expect.stringMatching(
          new RegExp(`^IBM ${vendor}, firmware ${firmware}, TPM 2.0 revision 1\\.\\d\\d$`),
        ),
      },
    ]);
    expect(about(`${tcti}, lockout`)).toMatchObject([
      { state: "ok", found: expect.stringMatching(/^0 of \d+ wrong passwords/) },
    ]);
    expect(about("key")).toMatchObject([
      { state: "ok", found: expect.stringMatching(/^signs \(tpm\): opened in/) },
    ]);
    expect(about("access key id")).toEqual([{ state: "ok", what: "access key id", found: "AKIA" }]);
    expect(await device.leftovers?.()).toEqual([]);
  });

  test("a variable of tpm2-tools that names another TPM, and one that is not there", async () => {
    const gone = "swtpm:host=127.0.0.1,port=1";
    const { about } = await doctor([], { TPM2TOOLS_TCTI: gone });
    expect(about("TPM2TOOLS_TCTI")).toMatchObject([
      { state: "warning", remedy: expect.stringContaining("?tcti=swtpm%3Ahost%3D127.0.0.1%2Cport%3D1") },
    ]);
    expect(about(gone)).toMatchObject([
      { state: "warning", found: expect.stringContaining("ERR_TPM_CONNECTION") },
    ]);
    const wanted = await doctor([`tpm:0x81008001?tcti=${encodeURIComponent(gone)}`]);
    expect(wanted.about(gone)).toMatchObject([{ state: "problem" }]);
    expect(wanted.about("key 1")).toMatchObject([{ state: "problem" }]);
  });

  test("a device that this user may not open", async () => {
    const folder = mkdtempSync("/var/tmp/aws-hmac-doctor-"); // TMPDIR may be closed to the other user
    const file = path.join(folder, "tpm");
    writeFileSync(file, "");
    const run = async (): Promise<{ findings: Finding[] }> => {
      const reference = `tpm:0x81008001?tcti=${encodeURIComponent(`device:${file}`)}`;
      const options = {
        env: cliEnvironment({}),
        ...(realProcess.getuid?.() === 0 && { uid: 65534, gid: 65534 }),
      };
      const outcome = await promisify(execFile)(
        process.execPath,
        [cliProgram, "doctor", "--json", reference],
        options,
      ).catch((error) => error);
      return JSON.parse(outcome.stdout);
    };
    try {
      chmodSync(folder, 0);
      expect((await run()).findings).toContainEqual({
        ...{ state: "problem", what: file, found: "this user may not look where it is (EACCES)" },
        remedy: "let this user search the folders above it (chmod +x)",
      });
      chmodSync(folder, 0o755);
      chmodSync(file, 0);
      expect((await run()).findings).toContainEqual({
        ...{ state: "problem", what: file },
        found: expect.stringContaining("may not read and write it (EACCES): mode 0"),
        remedy: expect.stringContaining("tpm-udev"),
      });
      if (realProcess.getuid?.() !== 0) return;
      const [, , gid] = execFileSync("getent", ["group", "daemon"], { encoding: "utf8" }).split(":");
      chownSync(file, 0, Number(gid));
      chmodSync(file, 0o660);
      expect((await run()).findings).toContainEqual({
        ...{ state: "problem", what: file },
        found: expect.stringContaining("mode 660, group daemon"),
        remedy: "usermod -aG daemon nobody, then log in again",
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("wrong passwords are told, and none is tried where one more would lock it", async () => {
    await mistake();
    const most = Number(property("variable", "TPM2_PT_MAX_AUTH_FAIL"));
    expect([failedTries(), most > 2]).toEqual([1, true]);
    const { about } = await doctor(args, env);
    expect(about(`${tcti}, lockout`)).toMatchObject([
      { state: "warning", found: expect.stringMatching(/^1 of \d+ wrong passwords$/) },
    ]);
    expect(about("key")).toMatchObject([{ state: "ok" }]);
    for (let tries = failedTries(); tries < most - 1; tries++) await mistake();
    expect(failedTries()).toBe(most - 1);
    const near = await doctor(args, { ...env, TEST_PASSWORD: "wrong" });
    expect(near.about("key")).toMatchObject([
      { state: "problem", found: expect.stringMatching(/^not tried/) },
    ]);
    expect(failedTries()).toBe(most - 1);
    await mistake();
    const locked = await doctor(args, env);
    expect(locked.about(`${tcti}, lockout`)).toMatchObject([
      { state: "problem", found: `locked after ${most} wrong passwords` },
    ]);
    expect(locked.about("key")).toMatchObject([
      { state: "problem", found: expect.stringContaining("[ERR_TPM_LOCKOUT]") },
    ]);
    tool("tpm2_dictionarylockout", "--clear-lockout");
    expect((await doctor(args, env)).code).toBe(0);
  });
});

describeWith(["softhsm"], "aws-hmac doctor, a token", () => {
  let hsm: SoftHsm;
  let proxy: ProxyModule;
  let key: string;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    hsm = await makeSoftHsm();
    proxy = await makeProxyModule(hsm.module);
    const { module, tokenLabel, pin } = hsm;
    await importPkcs11Key(Buffer.from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), {
      ...{ module, tokenLabel, pin, label: "signer" },
    });
    key = `pkcs11:token=${encodeURIComponent(tokenLabel)};object=signer?module-path=${proxy.module}`;
    env = { ...proxy.env, TEST_PIN: pin };
  }, 60_000);
  afterAll(() => {
    hsm?.remove();
    proxy?.remove();
  });
  /** What the doctor finds, and whether it gave a PIN. */
  const examine = async (reference: string, ...flags: string[]): Promise<Examined & { pins: number }> => {
    const before = proxy.calls().length;
    const examined = await doctor(["-k", reference, ...flags], env);
    const pins = proxy.calls().slice(before);
    return { ...examined, pins: pins.filter((call) => call === "C_Login pin").length };
  };

  test("the token, and the key that signs", async () => {
    const { about, pins, code } = await examine(key, "--pin-env", "TEST_PIN");
    expect([code, pins]).toEqual([0, 1]);
    expect(about(`token ${hsm.tokenLabel}`)).toContainEqual({
      ...{ state: "ok", what: `token ${hsm.tokenLabel}` },
      found: `SoftHSM project SoftHSM v2, ${proxy.module}, 0 usable keys without a login`,
    });
    expect(about("key")).toMatchObject([{ state: "ok", found: expect.stringMatching(/^signs \(pkcs11\)/) }]);
  });

  test("a token that p11-kit knows too, and a key that is given twice, are told of once", async () => {
    const again = key.replace(proxy.module, hsm.module);
    const { about } = await examine(again, "--pin-env", "TEST_PIN", again);
    expect(about(`token ${hsm.tokenLabel}`)).toHaveLength(1);
    expect(about("key 1")).toMatchObject([{ state: "ok" }]);
  });

  test.each([
    ["0x10000", "warning", "a wrong PIN was entered"],
    ["0x30000", "problem", "the next wrong PIN locks it"],
    ["0x70000", "problem", "its PIN is locked"],
  ])("flags %s: told, and no PIN is given", async (flags, state, found) => {
    proxy.instruct(`set ${flags}`);
    try {
      const { about, pins } = await examine(key, "--pin-env", "TEST_PIN");
      expect(pins).toBe(0);
      expect(about(`token ${hsm.tokenLabel}`)).toContainEqual(
        expect.objectContaining({ state, found: expect.stringContaining(found) }),
      );
      expect(about("key")).toMatchObject([{ state: "problem", found: expect.stringMatching(/^not tried/) }]);
    } finally {
      proxy.instruct();
    }
  });

  test("a PIN in the reference is told and shown nowhere; none at all is missing", async () => {
    const { about, findings, pins } = await examine(`${key}&pin-value=${hsm.pin}`);
    expect(about("PIN")).toMatchObject([{ state: "warning" }]);
    expect(about("key")).toMatchObject([{ state: "ok" }]);
    expect(pins).toBe(1);
    expect(JSON.stringify(findings)).not.toContain(hsm.pin);
    const without = await examine(key);
    expect(without.about("key")).toMatchObject([
      { state: "problem", remedy: expect.stringContaining("--pin-file") },
    ]);
  });

  test("a module and a token that are not there", async () => {
    const token = await examine(key.replace("token=", "token=no%20"));
    expect(token.about("key")).toMatchObject([{ found: expect.stringContaining("[ERR_TOKEN_NOT_FOUND]") }]);
    const module = await examine(key.replace(proxy.module, "/nonexistent.so"));
    expect(module.about("key")).toMatchObject([{ found: expect.stringContaining("[ERR_MODULE_NOT_FOUND]") }]);
  });
});

describeWith(["openbao"], "aws-hmac doctor, a key in OpenBao", () => {
  test("the server's version, whether it is sealed, and a token that it does not know", async () => {
    const bao = await startBao({ persistent: true });
    try {
      await bao.call("transit/keys/signer", { body: { type: "hmac", key_size: 32 } });
      const key = ["-k", `vault:${bao.address}/transit/signer`];
      const { about } = await doctor(key, { VAULT_TOKEN: bao.token });
      const { version } = await bao.call("sys/health");
      expect(about(`server ${bao.address}`)).toEqual([
        { state: "ok", what: `server ${bao.address}`, found: `version ${version}` },
      ]);
      expect(about("key")).toMatchObject([{ state: "ok", found: expect.stringMatching(/^signs \(vault\)/) }]);
      const refused = await doctor(key, { VAULT_TOKEN: "unknown" });
      expect(refused.about("key")).toMatchObject([{ found: expect.stringContaining("[ERR_VAULT_TOKEN]") }]);
      await bao.call("sys/seal", { body: {} });
      const sealed = await doctor([...key, "--timeout", "2000"], { VAULT_TOKEN: bao.token });
      expect(sealed.about(`server ${bao.address}`)).toMatchObject([
        { state: "problem", found: expect.stringMatching(/^version .*, sealed$/) },
      ]);
    } finally {
      await bao.stop();
    }
  }, 60_000);

  test("a server that is not there, or is another one", async () => {
    const gone = await doctor(["vault:http://127.0.0.1:1/transit/signer"], { VAULT_TOKEN: "x" });
    expect(gone.about("key 1")).toMatchObject([{ found: expect.stringContaining("[ERR_VAULT_CONNECTION]") }]);
    const other = createServer((_request, response) => response.end("{}"));
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    const { about } = await doctor([`vault:http://127.0.0.1:${port}/transit/signer`], { VAULT_TOKEN: "x" });
    other.close();
    expect(about("key 1")).toMatchObject([{ found: expect.stringContaining("no Vault's or OpenBao's") }]);
  });
});

describeWith(["moto", ...tpm.needs], "aws-hmac doctor --sts", () => {
  let moto: Moto;
  let device: Awaited<ReturnType<typeof tpm.start>>;
  let args: string[];
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    moto = await startMoto();
    device = await tpm.start(moto.credentials.secretAccessKey);
    ({ args, env } = keyFlags(device.child));
    args = ["--sts", ...args, "-i", moto.credentials.accessKeyId, "-r", "eu-central-1"];
  }, 60_000);
  afterAll(async () => {
    await device?.stop();
    await moto?.stop();
  });

  /** moto, with another time in its answers: `seconds` before the right one. */
  async function shifted<T>(seconds: number, use: (endpoint: string) => Promise<T>): Promise<T> {
    const { hostname, port } = new URL(moto.endpoint);
    const server = createServer((request, response) => {
      const { method, url, headers } = request;
      const onwards = httpRequest({ hostname, port, method, path: url, headers }, (answer) => {
        const date = new Date(Date.now() + seconds * 1000).toUTCString();
        response.writeHead(answer.statusCode ?? 0, { ...answer.headers, date });
        answer.pipe(response);
      });
      request.pipe(onwards);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
      server.close();
    }
  }

  test("the account, the ARN and the clock", async () => {
    const { about, code } = await doctor(args, { ...env, AWS_ENDPOINT_URL_STS: moto.endpoint });
    expect(code).toBe(0);
    expect(about("STS")).toEqual([
      { state: "ok", what: "STS", found: "account 123456789012, arn:aws:iam::123456789012:user/tester" },
    ]);
    expect(about("clock")).toEqual([{ state: "ok", what: "clock", found: "as that of STS" }]);
  });

  test.each([
    [60, "warning", /^(59|60|61) s behind that of STS$/],
    [-3600, "problem", /^(3599|3600|3601) s ahead of that of STS$/],
  ])("a clock that is %i s behind", async (seconds, state, found) => {
    const { about } = await shifted(seconds, (endpoint) =>
      doctor(args, { ...env, AWS_ENDPOINT_URL_STS: endpoint }),
    );
    expect(about("clock")).toMatchObject([{ state, found: expect.stringMatching(found) }]);
  });

  test("a key that does not belong to the access key id", async () => {
    const other = args.map((arg) => (arg === moto.credentials.accessKeyId ? "AKIAUNKNOWN" : arg));
    const { about } = await doctor(other, { ...env, AWS_ENDPOINT_URL_STS: moto.endpoint });
    expect(about("STS")).toMatchObject([
      { state: "problem", found: expect.stringMatching(/\[ERR_STS_\w+\]$/) },
    ]);
  });

  test("no STS, no region", async () => {
    const gone = await doctor(args, { ...env, AWS_ENDPOINT_URL_STS: "http://127.0.0.1:1" });
    expect(gone.about("STS")).toMatchObject([
      { state: "problem", found: expect.stringContaining("ECONNREFUSED") },
    ]);
    expect(gone.about("clock")).toEqual([]);
    const nowhere = await doctor(args.slice(0, -2), env);
    expect(nowhere.about("region")).toMatchObject([{ state: "problem", found: "not configured" }]);
  });
});

describeWith(["ceph", ...tpm.needs], "aws-hmac doctor --sts on Ceph", () => {
  test("a server without GetCallerIdentity is a warning", async () => {
    const gateway = await startGateway();
    const device = await tpm.start(gateway.secretAccessKey);
    try {
      const { args, env } = keyFlags(device.child);
      const who = ["-i", gateway.accessKeyId, "-r", "eu-central-1"];
      const { about } = await doctor(["--sts", ...args, ...who], {
        ...env,
        AWS_ENDPOINT_URL_STS: gateway.endpoint,
      });
      expect(about("STS")).toMatchObject([{ state: "warning", found: expect.stringContaining("HTTP 405") }]);
      expect(about("clock")).toMatchObject([{ state: "ok" }]);
    } finally {
      await device.stop();
      await gateway.stop();
    }
  }, 120_000);
});
