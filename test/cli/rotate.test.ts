import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import type { ServerResponse } from "node:http";
import path from "node:path";
import { listTpmKeys } from "../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { importVaultKey } from "../../lib/provision/vault.js";
import { type Bao, startBao } from "../support/bao.js";
import { cliEnvironment, cliProgram, runAtTerminal, runCli } from "../support/cli.js";
import type { Ended } from "../support/example.js";
import { type Front, type Seen, startFront } from "../support/front.js";
import { accessKeys, admin, identityOf, makeKey, newUserKey, userArn } from "../support/iam-user.js";
import { type Moto, startMoto } from "../support/moto.js";
import { temporaryFolder } from "../support/process.js";
import { relay } from "../support/relay.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm } from "../support/softhsm.js";
import { startSwtpm } from "../support/swtpm.js";

/** TPM_CC_EvictControl (TCG TPM 2.0 Part 2, 6.5.2): a key is kept. */
const evictControl = 0x120;

const { folder, remove } = temporaryFolder("cli-rotate");
afterAll(remove);

describeWith(["moto", "openbao"], "aws-hmac rotate, with keys in Vault", () => {
  let moto: Moto;
  let bao: Bao;
  let iam: Front;
  let vault: Front;
  let states: string;
  beforeAll(async () => {
    [moto, bao] = await Promise.all([startMoto(), startBao()]);
    iam = await startFront(Number(new URL(moto.endpoint).port));
    vault = await startFront(bao.port);
    states = path.join(folder, "states", "aws-hmac");
  });
  afterAll(async () => {
    for (const server of [iam, vault, moto, bao]) await server?.stop();
  });

  let number = 0;
  /** An access key of the user, in Vault. */
  async function userKey(): Promise<{ id: string; reference: string }> {
    const { id, secret } = await newUserKey(moto);
    const place = { address: vault.address, token: bao.token, name: `signer${number++}` };
    const { reference } = await importVaultKey(secret, place);
    return { id, reference };
  }
  const environment = (): NodeJS.ProcessEnv => ({
    ...{
      VAULT_TOKEN: bao.token,
      AWS_ENDPOINT_URL_IAM: iam.address,
      XDG_STATE_HOME: path.join(folder, "states"),
    },
  });
  /** At which of its requests the command makes this call. */
  async function requestOf(action: string): Promise<number> {
    const key = await userKey();
    let [count, found] = [0, 0];
    for (const front of [iam, vault]) {
      front.treat(({ body }, _, pass) => {
        count++;
        if (body.includes(`Action=${action}`)) found = count;
        pass();
      });
    }
    await expectRotated(key, await rotate(key, "--yes"));
    return found;
  }
  type Key = { id: string; reference: string };
  const argsFor = ({ id, reference }: Key, ...flags: string[]): string[] => [
    ...["rotate", "--key", reference, "--access-key-id", id, "--json", ...flags],
  ];
  const rotate = (key: Key, ...flags: string[]) => runCli(argsFor(key, ...flags), { env: environment() });

  /** The user has this one key, active, which signs; the old one is gone. */
  async function expectRotated(key: Key, { code, stdout, stderr }: Ended): Promise<Key> {
    if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
    const { accessKeyId: id, reference, oldKey, oldAccessKeyId } = JSON.parse(stdout);
    expect([oldKey, oldAccessKeyId]).toEqual(["deleted", key.id]);
    expect(await accessKeys(moto)).toEqual({ [id]: "Active" });
    expect(id).not.toBe(key.id);
    expect(await identityOf(moto, id, reference, { token: bao.token })).toBe(userArn);
    expect(readdirSync(states)).toEqual([]);
    return { id, reference };
  }

  test("to the next name, without a question", async () => {
    const key = await userKey();
    const ended = await rotate(key, "--yes");
    expect(ended.stderr).toContain(`${key.id} is deleted`);
    const next = await expectRotated(key, ended);
    expect(next.reference).toBe(key.reference.replace(/(signer\d+)/, "$1-2"));
    const last = await expectRotated(next, await rotate(next, "--yes"));
    expect(last.reference).toBe(key.reference.replace(/(signer\d+)/, "$1-3"));
  });

  test("the secret is nowhere but in the device", async () => {
    const key = await userKey();
    const seen = iam.seen.length;
    let secret = "";
    iam.treat((request, answer, pass) => {
      if (request.body.includes("Action=CreateAccessKey")) {
        const end = answer.write.bind(answer);
        answer.write = ((chunk: Buffer, ...rest: []) => {
          secret += /<SecretAccessKey>([^<]+)</.exec(String(chunk))?.[1] ?? "";
          return end(chunk, ...rest);
        }) as typeof answer.write;
      }
      pass();
    });
    const ended = await rotate(key, "--yes").finally(() => iam.treat((_, __, pass) => pass()));
    await expectRotated(key, ended);
    expect(secret).toHaveLength(40);
    expect(ended.stdout + ended.stderr).not.toContain(secret);
    expect(iam.seen.slice(seen).map(({ body }) => /Action=(\w+)/.exec(body)?.[1])).toEqual([
      ...[
        "ListAccessKeys",
        "CreateAccessKey",
        "ListAccessKeys",
        "GetAccessKeyLastUsed",
        "UpdateAccessKey",
        "DeleteAccessKey",
      ],
    ]);
  });

  test("where nobody reads its messages, it goes on to the end", async () => {
    const key = await userKey();
    const child = spawn(process.execPath, [cliProgram, ...argsFor(key, "--yes")], {
      env: cliEnvironment(environment()),
    });
    child.stderr.destroy();
    let stdout = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    const [code] = await once(child, "close");
    await expectRotated(key, { code, stdout, stderr: "" });
  });

  test("--dry-run changes nothing", async () => {
    const key = await userKey();
    const { code, stdout } = await rotate(key, "--dry-run");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ dryRun: true, to: expect.stringMatching(/signer\d+-2$/) });
    expect(await accessKeys(moto)).toEqual({ [key.id]: "Active" });
    expect(existsSync(states) ? readdirSync(states) : []).toEqual([]);
    await expect(identityOf(moto, key.id, JSON.parse(stdout).to, { token: bao.token })).rejects.toMatchObject(
      { code: "ERR_KEY_NOT_FOUND" },
    );
  });

  test("without --yes and a terminal it stops when the new key signs, and goes on later", async () => {
    const key = await userKey();
    const first = await rotate(key);
    expect([first.code, first.stderr]).toEqual([5, expect.stringContaining(`Deactivate ${key.id}`)]);
    const { accessKeyId, reference, oldKey, step } = JSON.parse(first.stdout);
    expect([oldKey, step]).toEqual(["active", "verified"]);
    expect(await accessKeys(moto)).toEqual({ [key.id]: "Active", [accessKeyId]: "Active" });
    const [file = ""] = readdirSync(states);
    const state = path.join(states, file);
    expect(statSync(state).mode & 0o777).toBe(0o600);
    expect(Object.keys(JSON.parse(readFileSync(state, "utf8"))).sort()).toEqual([
      ...["newAccessKeyId", "oldAccessKeyId", "reference", "startedAt", "step", "to"],
    ]);
    expect(await rotate(key, "--dry-run")).toMatchObject({ code: 0 });
    expect(await rotate(key, "--yes", "--to", "tpm:0x81008001")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("goes to"),
    });
    expect(await expectRotated(key, await rotate(key, "--yes"))).toEqual({ id: accessKeyId, reference });
  });

  test("asked at a terminal, it may stop with the old key inactive", async () => {
    const key = await userKey();
    const args = argsFor(key).filter((arg) => arg !== "--json");
    const answers = [
      { question: "is refused then. [y/N] ", answer: "y\r" },
      { question: "for good? [y/N] ", answer: "n\r" },
    ];
    const { code, shown } = await runAtTerminal(args, answers, { env: environment() });
    expect(code).toBe(5);
    expect(shown).toMatch(/last used \S+ \(iam, us-east-1\)/);
    expect(shown).toMatch(/^aws_hmac_access_key_id = \w+\r?\naws_hmac_key = vault:/m);
    expect((await accessKeys(moto))[key.id]).toBe("Inactive");
    await expectRotated(key, await rotate(key, "--yes"));
  });

  test("to a new version of the same key", async () => {
    const key = await userKey();
    const { reference } = await expectRotated(key, await rotate(key, "--yes", "--new-version"));
    expect(reference).toBe(key.reference.replace("version=1", "version=2"));
  });

  /** Has IAM refuse what this access key signs, so and so often. */
  function refuse(isMeant: (seen: Seen) => boolean, times: number, code: string, status: number): void {
    let left = times;
    iam.treat((seen, answer, pass) => {
      if (!isMeant(seen) || left-- <= 0) {
        pass();
        return;
      }
      answer
        .writeHead(status)
        .end(`<ErrorResponse><Error><Code>${code}</Code><Message>not now</Message></Error></ErrorResponse>`);
    });
  }
  const passAll = (): void => iam.treat((_, __, pass) => pass());
  const signedBy = ({ headers }: Seen): string =>
    /Credential=(\w+)/.exec(headers.authorization ?? "")?.[1] ?? "";

  test("IAM is slow to know a new key, and busy", async () => {
    const key = await userKey();
    refuse((seen) => signedBy(seen) !== key.id, 3, "InvalidClientTokenId", 403);
    await expectRotated(key, await rotate(key, "--yes").finally(passAll));
    const busy = await userKey();
    refuse(({ body }) => /UpdateAccessKey|DeleteAccessKey/.test(body), 2, "Throttling", 400);
    await expectRotated(busy, await rotate(busy, "--yes").finally(passAll));
  });

  test("a new key that IAM does not know in time leaves the old one as it is, and may be known later", async () => {
    const key = await userKey();
    refuse((seen) => signedBy(seen) !== key.id, 1000, "InvalidClientTokenId", 403);
    const { code, stdout, stderr } = await rotate(key, "--yes", "--wait", "1").finally(passAll);
    expect([code, stderr]).toEqual([4, expect.stringContaining("ERR_IAM_DENIED")]);
    const { accessKeyId, step, oldKey } = JSON.parse(stdout);
    expect([step, oldKey]).toEqual(["imported", "active"]);
    expect(await accessKeys(moto)).toEqual({ [key.id]: "Active", [accessKeyId]: "Active" });
    expect((await expectRotated(key, await rotate(key, "--yes"))).id).toBe(accessKeyId);
  });

  test("a user who may make no access key is left alone", async () => {
    const key = await userKey();
    refuse(({ body }) => body.includes("CreateAccessKey"), 1, "AccessDenied", 403);
    const { code, stderr } = await rotate(key, "--yes").finally(passAll);
    expect([code, stderr]).toEqual([
      4,
      "aws-hmac: IAM CreateAccessKey: AccessDenied: not now [ERR_IAM_DENIED]\n",
    ]);
    expect(readdirSync(states)).toEqual([]);
  });

  test("an interrupted rotation takes no key for its own that somebody uses", async () => {
    const creation = await requestOf("CreateAccessKey");
    const key = await userKey();
    await killedAt(key, creation, "before", []);
    expect(readdirSync(states)).toHaveLength(1);
    const { id, secret } = await makeKey(moto);
    const used = await importVaultKey(secret, {
      address: vault.address,
      token: bao.token,
      name: `used${number++}`,
    });
    const again = { id, reference: used.reference };
    expect((await rotate(again)).stderr).toContain(`the user has the access key ${key.id} too`);
    const { code, stderr } = await rotate(key, "--yes");
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`${id} too, which this rotation did not make`),
    ]);
    expect(await accessKeys(moto)).toEqual({ [key.id]: "Active", [id]: "Active" });
    await admin(moto, { Action: "DeleteAccessKey", AccessKeyId: id });
    await expectRotated(key, await rotate(key, "--yes"));
  });

  test("two at once: the second is refused", async () => {
    const key = await userKey();
    let second: Promise<Ended> | undefined;
    iam.treat((_, __, pass) => {
      second ??= rotate(key, "--yes");
      void second.then(pass);
    });
    const first = await rotate(key, "--yes").finally(passAll);
    expect(await second).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("another process rotates"),
    });
    await expectRotated(key, first);
  });

  /**
   * Runs the command and kills it at its n-th request to IAM or Vault: before the server sees it, or with the answer on its way.
   * Gives undefined where it made fewer requests and came to its end.
   */
  async function killedAt(
    key: Key,
    n: number,
    when: "before" | "after",
    flags: string[],
  ): Promise<true | undefined> {
    let count = 0;
    const child = execFile(process.execPath, [cliProgram, ...argsFor(key, "--yes", ...flags)], {
      env: cliEnvironment(environment()),
      timeout: 60_000,
    });
    let isKilled: true | undefined;
    const treat = (_: unknown, answer: ServerResponse, pass: () => void): void => {
      if (++count !== n) {
        pass();
        return;
      }
      isKilled = true;
      if (when === "before") return void child.kill("SIGKILL");
      answer.on("error", () => undefined);
      answer.writeHead = () => {
        child.kill("SIGKILL");
        return answer.destroy();
      };
      pass();
    };
    for (const front of [iam, vault]) front.treat(treat);
    try {
      await new Promise((resolve) => child.once("close", resolve));
    } finally {
      for (const front of [iam, vault]) front.treat((_, __, pass) => pass());
    }
    return isKilled;
  }

  for (const flags of [[], ["--replace"]]) {
    test.each(["before", "after"] as const)(
      `killed ${"%s"} each of its requests, and run again (${flags.join() || "to another name"})`,
      async (when) => {
        let runs = 0;
        for (let n = 1; ; n++) {
          const key = await userKey();
          const wasKilled = await killedAt(key, n, when, flags);
          if (!wasKilled) break;
          runs++;
          // killed with the last answer on its way, all is done but the state file's end
          await expectRotated(key, await rotate(key, "--yes", ...flags)).catch((error: Error) => {
            throw new Error(`killed ${when} request ${n}: ${error.message}`, { cause: error });
          });
        }
        expect(runs).toBeGreaterThan(10);
      },
      300_000,
    );
  }
});

describeWith(["moto", "swtpm", "tpm2-tools", "softhsm"], "aws-hmac rotate, with keys in devices", () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
  });
  afterAll(() => moto?.stop());

  test("from one handle of a TPM to the next, and into a token, and back into a file", async () => {
    const tpm = await startSwtpm();
    const hsm = await makeSoftHsm();
    try {
      const { id, secret } = await newUserKey(moto);
      const auth = { password: "of the key" };
      const first = await importTpmKey(secret, { tcti: tpm.tcti, handle: 0x81008001, auth });
      const env = {
        ...{ AWS_ENDPOINT_URL_IAM: moto.endpoint, XDG_STATE_HOME: folder, SOFTHSM2_CONF: hsm.conf },
        ...{ PASSWORD: auth.password, TOKEN_PIN: hsm.pin },
      };
      const secrets = ["--password-env", "PASSWORD", "--pin-env", "TOKEN_PIN", "--yes", "--json"];
      let key = { accessKeyId: id, reference: first.reference };
      const rotate = async (...flags: string[]): Promise<string> => {
        const args = ["rotate", "-k", key.reference, "-i", key.accessKeyId, ...secrets, ...flags];
        const { code, stdout, stderr } = await runCli(args, { env });
        expect([code, stderr]).toEqual([0, expect.stringContaining(`${key.accessKeyId} is deleted`)]);
        key = JSON.parse(stdout);
        expect(await accessKeys(moto)).toEqual({ [key.accessKeyId]: "Active" });
        expect(await identityOf(moto, key.accessKeyId, key.reference, { auth, pin: hsm.pin })).toBe(userArn);
        return key.reference;
      };
      expect(await rotate()).toBe(first.reference.replace("8001", "8002"));
      expect(await rotate("--replace")).toBe(first.reference.replace("8001", "8002"));
      const token = `pkcs11:token=${encodeURIComponent(hsm.tokenLabel)};object=rotated?module-path=${hsm.module}`;
      expect(await rotate("--to", `${token}&pin-value=${hsm.pin}`)).toMatch(/;object=rotated;id=/);
      expect(await rotate()).toMatch(/;object=rotated-2;id=/);
      expect(await rotate("--replace")).toMatch(/;object=rotated-2;id=/);
      const file = path.join(folder, "rotated.pem");
      const place = `tpm:${file}?tcti=${encodeURIComponent(tpm.tcti)}`;
      expect(await rotate("--to", place)).toBe(place);
      expect(await rotate()).toBe(place.replace("rotated", "rotated-2"));
    } finally {
      await tpm.stop();
      hsm.remove();
    }
  });

  test.each(["before", "after"] as const)(
    "killed %s the TPM keeps the new key, and run again",
    async (when) => {
      const tpm = await startSwtpm();
      const wire = await relay(tpm.tcti);
      try {
        const { id, secret } = await newUserKey(moto);
        const { reference } = await importTpmKey(secret, { tcti: tpm.tcti, handle: 0x81008001 });
        const at = (place: string): string => `${place}?tcti=${encodeURIComponent(wire.tcti)}`;
        const args = ["rotate", "--yes", "--json", "-k", at("tpm:0x81008001"), "-i", id];
        const env = { AWS_ENDPOINT_URL_IAM: moto.endpoint, XDG_STATE_HOME: folder };
        const child = spawn(process.execPath, [cliProgram, ...args], {
          env: cliEnvironment(env),
          stdio: "ignore",
        });
        const ended = new Promise((resolve) => child.once("close", resolve));
        wire.answer(async (command, ask) => {
          const isKept = command.readUInt32BE(6) === evictControl;
          const answer = isKept && when === "before" ? Buffer.alloc(0) : await ask(command);
          if (isKept) child.kill("SIGKILL");
          return answer;
        });
        await ended;
        expect(child.signalCode).toBe("SIGKILL");
        wire.answer((command, ask) => ask(command));
        const lost = Object.keys(await accessKeys(moto)).find((one) => one !== id);
        // what a resource manager does when a program ends
        for (const kind of ["-t", "-l", "-s"]) execFileSync("tpm2_flushcontext", ["-T", tpm.tcti, kind]);

        const { code, stdout, stderr } = await runCli(args, { env });
        expect([code, stderr]).toEqual([0, expect.stringContaining('going on behind step "created"')]);
        const { accessKeyId, reference: made } = JSON.parse(stdout);
        expect(made).toBe(at("tpm:0x81008002"));
        expect([await accessKeys(moto), accessKeyId === lost]).toEqual([
          { [accessKeyId]: "Active" },
          when === "after",
        ]);
        expect(await identityOf(moto, accessKeyId, reference.replace("8001", "8002"))).toBe(userArn);
        expect((await listTpmKeys({ tcti: tpm.tcti })).map(({ handle }) => handle)).toEqual([
          0x81008001, 0x81008002,
        ]);
      } finally {
        await wire.stop();
        await tpm.stop();
      }
    },
  );

  test("what stands in the way is told, and nothing is changed", async () => {
    const tpm = await startSwtpm();
    try {
      const { id, secret } = await newUserKey(moto);
      const { reference } = await importTpmKey(secret, { tcti: tpm.tcti, handle: 0x81008001 });
      const env = { AWS_ENDPOINT_URL_IAM: moto.endpoint, XDG_STATE_HOME: folder };
      const rotate = (...flags: string[]) =>
        runCli(["rotate", "-k", reference, "-i", id, "--yes", ...flags], { env });
      const refused = async (code: number, said: string, ...flags: string[]): Promise<void> => {
        const ended = await rotate(...flags);
        expect([ended.code, ended.stdout, ended.stderr]).toEqual([code, "", expect.stringContaining(said)]);
      };
      await refused(1, "ERR_KEY_EXISTS", "--to", reference);
      await refused(4, "InvalidClientTokenId", "--access-key-id", "AKIAIOSFODNN7EXAMPLE");
      await refused(2, "must be an https:// URL", "--iam-endpoint", "http://iam.example/");
      await refused(2, "must be an https:// URL", "--iam-endpoint", "nonsense");
      await refused(3, "not reached (ECONNREFUSED)", "--iam-endpoint", "http://127.0.0.1:9/");
      // the import fails: IAM is left as it was
      await refused(
        2,
        "is deleted again",
        "--to",
        `tpm:${folder}/none/key.pem?tcti=${encodeURIComponent(tpm.tcti)}`,
      );
      expect(await accessKeys(moto)).toEqual({ [id]: "Active" });
      expect(
        existsSync(path.join(folder, "aws-hmac")) ? readdirSync(path.join(folder, "aws-hmac")) : [],
      ).toEqual([]);
      await admin(moto, { Action: "CreateAccessKey" });
      await refused(1, "and IAM allows no third");
    } finally {
      await tpm.stop();
    }
  });
});
