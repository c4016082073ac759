// What a user does with the package, in a Debian of which nothing is known but its version: each program's MACs and
// signatures are compared with those of node:crypto and smithy, which have the plain secret out here.
import { createHmac } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { HttpRequest } from "@smithy/core/protocols";
import { SignatureV4 } from "@smithy/signature-v4";
import { build } from "esbuild";
import { serveToken } from "../../support/p11-kit-server.js";
import { PlainSha256 } from "../../support/plain-sha256.js";
import { temporaryFolder } from "../../support/process.js";
import { accessKeyId, secret, signingDate } from "../../support/signer.js";
import { softHsmToken } from "../../support/softhsm.js";
import { startSwtpm } from "../../support/swtpm.js";
import { type Plan, Room, type RunOptions } from "./room.js";

const plan = JSON.parse(process.env.AWS_HMAC_ROOMS ?? "null") as Plan;
const host = "sqs.eu-central-1.amazonaws.com";
const password = "a password";
const pin = "1234";
const smithy = new SignatureV4({
  ...{ region: "eu-central-1", service: "sqs", uriEscapePath: true, applyChecksum: false },
  ...{ credentials: { accessKeyId, secretAccessKey: secret }, sha256: PlainSha256 },
});

/** What a program prints: see programs/key.cjs. */
interface Signed {
  mac: string;
  authorization: string;
  url: string;
  before: string[];
  loaded: string[];
}

/** A request to `host` as smithy signs it, on a date in AWS's own form. */
async function authorizationOf(headers: Record<string, string>, date: string): Promise<string | undefined> {
  const parts = { method: "GET", protocol: "https:", hostname: host, path: "/", headers };
  const signingDate = new Date(date.replace(/^(....)(..)(..T..)(..)/, "$1-$2-$3:$4:"));
  return (await smithy.sign(new HttpRequest(parts), { signingDate })).headers.authorization;
}

/** What it must print, by code that is not ours. */
async function judged(): Promise<Pick<Signed, "mac" | "authorization" | "url">> {
  const parts = { method: "GET", protocol: "https:", hostname: host, path: "/", headers: { host } };
  const { query = {} } = await smithy.presign(new HttpRequest(parts), { signingDate, expiresIn: 3600 });
  return {
    mac: createHmac("sha256", `AWS4${secret}`).update("20261123").digest("hex"),
    authorization: (await authorizationOf({ host }, "20261123T120000Z")) ?? "",
    url: expect.stringMatching(new RegExp(`&X-Amz-Signature=${query["X-Amz-Signature"]}$`)),
  };
}

/** The programs that a user may write, and how often each signs. */
const programs: [name: string, file: string, times: number][] = [
  ["required", "sign.cjs", 1],
  ["imported", "sign.mjs", 1],
  ["in two worker threads", "worker.cjs", 2],
  ["bundled, the package external", "external.cjs", 1],
  ["bundled, with nothing of the package installed but its prebuilds", "bundled/sign.cjs", 1],
];

/** Bundles sign.mjs twice, as docs/building.md says. */
async function bundle(project: string): Promise<void> {
  const common = { bundle: true, platform: "node", absWorkingDir: project, logLevel: "error" } as const;
  const outfile = path.join("bundled", "sign.cjs");
  await build({ ...common, entryPoints: ["sign.mjs"], external: ["aws-hmac"], outfile: "external.cjs" });
  await build({
    ...{ ...common, entryPoints: ["sign.mjs"], outfile },
    external: ["@aws-sdk/client-kms", "@google-cloud/kms"],
  });
  const files = path.join("node_modules", "aws-hmac");
  for (const name of ["package.json", "prebuilds"]) {
    cpSync(path.join(project, files, name), path.join(project, "bundled", files, name), { recursive: true });
  }
}

/** The tests of one Debian, on every Node of the plan. */
export function testSuite(suite: string): void {
  describe.each(Object.keys(plan.nodes))(`${suite}, ${plan.arch}, Node %s`, (node) => {
    const { folder, remove } = temporaryFolder("room");
    const project = path.join(folder, "project");
    let room: Room;
    beforeAll(async () => {
      mkdirSync(project);
      room = new Room(plan, suite, node, project);
      await room.install();
      await bundle(project);
    }, 300_000);
    afterAll(remove);

    const place = (name: string, options: object, run: RunOptions = {}): Promise<string> =>
      room.run(["import.cjs"], {
        ...run,
        env: { ...run.env, PLACE: JSON.stringify([name, options]) },
        input: secret,
      });

    /** Runs a program with a key and compares what it prints, once for each time it signs. */
    const check = async (file: string, times: number, key: unknown, run: RunOptions = {}): Promise<void> => {
      const env = { ...run.env, KEY: JSON.stringify(key) };
      const lines = (await room.run([file], { ...run, env })).trim().split("\n");
      const expected = {
        ...(await judged()),
        // before the first use nothing; of two threads the other may have been faster
        before: times === 1 ? [] : expect.any(Array),
        loaded: [expect.stringMatching(`/prebuilds/linux-${plan.arch}/`)],
      };
      expect(lines.map((line) => JSON.parse(line))).toEqual(Array(times).fill(expected));
    };

    test("nothing is there but Debian and Node", async () => {
      const { found, ...counted } = JSON.parse(await room.run(["bare.cjs"]));
      expect(found).toEqual([]);
      expect(counted).toEqual({ programs: expect.any(Number), libraries: expect.any(Number) });
      expect(Math.min(counted.programs, counted.libraries)).toBeGreaterThan(100);
      expect(await room.run(["-p", "process.versions.node"])).toMatch(new RegExp(`^${node}\\.`));
    });

    describe("with a TPM", () => {
      let tpm: Awaited<ReturnType<typeof startSwtpm>>;
      let reference: string;
      beforeAll(async () => {
        tpm = await startSwtpm();
        const options = { tcti: tpm.tcti, handle: 0x81008001, auth: { password } };
        ({ reference } = JSON.parse(await place("importTpmKey", options)));
      });
      afterAll(() => tpm?.stop());

      test.each(programs)("signs in an encrypted session, %s", (_, file, times) =>
        check(file, times, { reference, options: { auth: { password }, encryption: "session" } }),
      );
      test("signs with the password in clear", () =>
        check("sign.cjs", 1, {
          reference,
          options: { auth: { password, mode: "plain" }, encryption: "none" },
        }));

      test("the command finds nothing wrong, and signs", async () => {
        const env = { KEY_PASSWORD: password };
        const settings = ["--password-env", "KEY_PASSWORD", "-i", accessKeyId, "-r", "eu-central-1"];
        const doctor = await command("doctor", ["--json", "-k", reference, ...settings], env);
        const states = JSON.parse(doctor).findings.map(({ state }: { state: string }) => state);
        expect(states).toContain("ok");
        expect(states).not.toContain("problem");
        const sign = ["--json", "-s", "sqs", "-k", reference, ...settings, `https://${host}/`];
        const { headers } = JSON.parse(await command("sign", sign, env));
        const { authorization, "x-amz-date": date, ...given } = headers;
        expect(authorization).toBe(await authorizationOf({ host, ...given }, date));
      });
    });

    const command = (name: string, args: string[], env: Record<string, string>): Promise<string> =>
      plan.isNative
        ? room.npm("npx", ["aws-hmac", name, ...args], { env })
        : room.run(["node_modules/aws-hmac/dist/cli/main.js", name, ...args], { env });

    describe("with SoftHSM", () => {
      const run: RunOptions = { room: "hsm", env: { SOFTHSM2_CONF: "/app/softhsm2.conf" } };
      const token = { module: "/usr/lib/softhsm/libsofthsm2.so", tokenLabel: "room", pin };
      let reference: string;
      beforeAll(async () => {
        writeFileSync(path.join(project, "softhsm2.conf"), "directories.tokendir = /app/tokens\n");
        mkdirSync(path.join(project, "tokens"), { mode: 0o777 });
        chmodSync(path.join(project, "tokens"), 0o777);
        const init = ["--init-token", "--free", "--label", "room", "--pin", pin, "--so-pin", pin];
        await room.exec(["/usr/bin/softhsm2-util", ...init], run);
        ({ uri: reference } = JSON.parse(await place("importPkcs11Key", { ...token, label: "key" }, run)));
      });

      test.each(programs)("signs, %s", (_, file, times) =>
        check(file, times, { reference, options: { pin } }, run),
      );
    });

    describe("with a token outside, through p11-kit's socket", () => {
      let token: Awaited<ReturnType<typeof serveToken>>;
      let run: RunOptions;
      let reference: string;
      beforeAll(async () => {
        token = await serveToken(await softHsmToken());
        chmodSync(token.folder, 0o755);
        chmodSync(path.join(token.folder, "p11"), 0o666);
        const env = { P11_KIT_SERVER_ADDRESS: "unix:path=/run/token/p11" };
        run = { room: "hsm", env, mounts: ["--show", token.folder, "/run/token"] };
        const machine = plan.arch === "x64" ? "x86_64" : "aarch64";
        const module = `/usr/lib/${machine}-linux-gnu/pkcs11/p11-kit-client.so`;
        const options = { module, tokenLabel: token.tokenLabel, pin: token.pin, label: "key" };
        ({ uri: reference } = JSON.parse(await place("importPkcs11Key", options, run)));
      });
      afterAll(() => token?.stop());

      test("signs", () => check("sign.cjs", 1, { reference, options: { pin: token.pin } }, run));
    });
  });
}
