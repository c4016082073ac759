import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import {
  importPkcs11Key,
  type ListedPkcs11Key,
  listPkcs11Keys,
  openPkcs11Key,
  removePkcs11Key,
} from "../../lib/index.js";
import { secretAccessKey as oldSecret } from "../support/backends.js";
import { until } from "../support/process.js";
import { makeProxyModule, type ProxyModule } from "../support/proxy-module.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";
import { expectSigns, hmac, macOf } from "../tokens/suite.js";

const newSecret = "another";

/** Replaces a key, in a process of its own. */
const program = `
  const { library, secret, options, id } = JSON.parse(process.env.JOB);
  require(library).importPkcs11Key(Buffer.from(secret), { ...options, id: Buffer.from(id, "hex"), replace: true });`;

describeWith(["softhsm"], "a process that is killed while it replaces a PKCS#11 key", () => {
  let hsm: SoftHsm;
  let proxy: ProxyModule;
  let at: { module: string; tokenLabel: string; pin: string; label: string };
  /** The calls of a replacement that nobody kills. */
  let calls: string[];
  let id: Buffer;
  let labels = 0;

  beforeAll(async () => {
    hsm = await makeSoftHsm("interrupted");
    proxy = await makeProxyModule(hsm.module);
    at = { module: proxy.module, tokenLabel: "interrupted", pin: hsm.pin, label: "" };
    await freshKey();
    const before = proxy.calls().length;
    const whole = replace();
    expect(await once(whole, "exit")).toEqual([0, null]);
    calls = proxy.calls().slice(before);
    expect(await list()).toHaveLength(1);
    await expectSigns({ ...at, id }, newSecret);
  });
  afterAll(() => {
    proxy.remove();
    hsm.remove();
  });

  /** Another label and id, and a key with them. */
  async function freshKey(): Promise<void> {
    at.label = `key ${++labels}`;
    id = Buffer.of(0x51, labels);
    await importPkcs11Key(Buffer.from(oldSecret), { ...at, id });
  }

  function replace(): ReturnType<typeof spawn> {
    const library = path.join(__dirname, "..", "..", "dist");
    const job = { library, secret: newSecret, options: at, id: id.toString("hex") };
    const env = { ...proxy.env, JOB: JSON.stringify(job) };
    return spawn(process.execPath, ["-e", program], { env, stdio: "inherit" });
  }

  /** Has a replacement hang in the call `calls[step]`, before the module gets it, and kills it there. */
  async function killAt(step: number): Promise<void> {
    const call = String(calls[step]).split(" ")[0];
    const named = (list: string[]): number => list.filter((name) => name.split(" ")[0] === call).length;
    const skipped = named(calls.slice(0, step));
    const before = named(proxy.calls());
    proxy.instruct(`hang ${call} ${skipped}`);
    const child = replace();
    const end = once(child, "exit");
    try {
      await until(`${call} hangs`, () => named(proxy.calls()) === before + skipped + 1);
    } finally {
      child.kill("SIGKILL");
      proxy.instruct();
    }
    expect(await end).toEqual([null, "SIGKILL"]);
  }

  async function list(): Promise<ListedPkcs11Key[]> {
    const { tokens } = await listPkcs11Keys({ ...at });
    return tokens.flatMap(({ keys }) => keys).filter(({ label }) => label === at.label);
  }

  /** Which secret each key with the label has, by the key's id; nothing where two are alike, and neither opens. */
  async function secrets(): Promise<Map<string, string> | undefined> {
    const found = new Map<string, string>();
    const message = Buffer.from("20261125");
    for (const key of await list()) {
      const hex = Buffer.from(key.id).toString("hex");
      if (found.has(hex)) return undefined;
      const opening = openPkcs11Key({ ...at, id: key.id });
      const opened = await opening.catch((error) => error);
      if (opened instanceof Error) {
        expect(opened).toMatchObject({
          code: "ERR_KEY_AMBIGUOUS",
          message: expect.stringMatching(/interrupted replacement.* option replace/),
        });
        found.set(hex, "?");
        continue;
      }
      const mac = await macOf(opened, message);
      await opened.close();
      found.set(hex, String([oldSecret, newSecret].find((one) => hmac(message, one) === mac)));
    }
    return found;
  }

  /** From the first call that changes the token to the last: of each kind the first, and all that write. */
  function steps(): number[] {
    const first = calls.indexOf("C_CreateObject");
    const writes = ["C_SetAttributeValue", "C_DestroyObject"];
    const seen = new Set<string>();
    return calls.flatMap((call, step) => {
      if (step < first || (seen.has(call) && !writes.includes(call))) return [];
      seen.add(call);
      return [step];
    });
  }

  test("the steps are there", () => {
    const names = steps().map((step) => calls[step]);
    expect(names).toEqual(
      expect.arrayContaining([
        "C_CreateObject",
        "C_Sign",
        "C_WrapKey",
        "C_SetAttributeValue",
        "C_CloseSession",
      ]),
    );
    expect(names.slice(names.indexOf("C_SetAttributeValue"))).toContain("C_DestroyObject");
  });

  test("leaves the old key, the new one, or both; a repeated replacement or a removal mends it", async () => {
    const states = new Set<string>();
    for (const step of steps()) {
      for (const isRepeated of [true, false]) {
        await freshKey();
        await killAt(step);
        const left = await secrets();
        states.add(left === undefined ? "alike" : [...left.values()].sort().join());
        const repeat = isRepeated || left === undefined;
        if (left === undefined) expect(await list()).toHaveLength(2);
        if (repeat) await importPkcs11Key(Buffer.from(newSecret), { ...at, id, replace: true });
        const kept = repeat ? id : Buffer.from(String([...(left?.keys() ?? [])][0]), "hex");
        for (const { id: other } of await list()) {
          if (!kept.equals(other)) await removePkcs11Key({ ...at, id: other });
        }
        await expectSigns(at, repeat ? newSecret : left?.get(kept.toString("hex")));
      }
    }
    expect([...states].sort()).toEqual(
      ["alike", newSecret, [oldSecret, newSecret].sort().join(), oldSecret].sort(),
    );
  }, 120_000);
});
