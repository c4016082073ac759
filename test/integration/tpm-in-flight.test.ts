import { AwsHmacError } from "../../lib/core/errors.js";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

/** Requests that are always in flight. */
const requests = 64;

/** What a caller may be told of a TPM that is away, silent, or not yet started. */
const passing = new Set(["ERR_TPM_CONNECTION", "ERR_TIMEOUT", "ERR_TPM_STATE"]);

/** Keeps 64 requests in flight, each of another message, until it is stopped; every answer is checked. */
class Traffic {
  readonly #key: HmacKey;
  readonly #lanes: Promise<void>[];
  #stopped = false;
  #failure: unknown;
  /** Right MACs by lane, and what the callers were told when they got none. */
  readonly answered: number[] = new Array(requests).fill(0);
  readonly refused = new Map<string, number>();

  constructor(key: HmacKey) {
    this.#key = key;
    this.#lanes = this.answered.map((_, lane) =>
      this.#run(lane).catch((error: unknown) => this.#fail(error)),
    );
  }

  /** Waits until every lane has had another right answer. */
  async flows(): Promise<void> {
    const before = [...this.answered];
    await until("64 more MACs", () => {
      if (this.#failure) throw this.#failure;
      return this.answered.every((count, lane) => count > (before[lane] ?? 0));
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
    if (this.#failure) throw this.#failure;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#stopped = true;
  }

  async #run(lane: number): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      // One in sixteen is longer than a TPM's buffer and takes a sequence of commands.
      const message = Buffer.alloc(lane % 16 === 0 ? 2000 : 8, `${lane}.${turn}.`);
      try {
        const mac = await macOf(this.#key, message);
        if (mac !== expected(message)) throw new Error(`a wrong MAC of ${message.length} bytes`);
        this.answered[lane] = (this.answered[lane] ?? 0) + 1;
      } catch (error) {
        if (!(error instanceof AwsHmacError) || !passing.has(error.code)) throw error;
        this.refused.set(error.code, (this.refused.get(error.code) ?? 0) + 1);
      }
    }
  }
}

/** Two ways, the first of which PCRs do not allow; the second proves or sends the password. */
const policy: TpmPolicy = [
  {
    or: [
      [{ pcr: { indices: [23], digest: "22".repeat(32) } }],
      [{ pcr: { indices: [0] } }, { password: true }],
    ],
  },
];

describeWith(["swtpm", "tpm2-tools"], "64 requests in flight", () => {
  const suite = tpmSuite();

  /** Runs `fault` thrice in the middle of traffic; after each every lane must get right answers again. */
  async function survives(
    options: TpmKeyOptions,
    fault: (traffic: Traffic) => Promise<void>,
  ): Promise<Traffic> {
    const traffic = new Traffic(await suite.open({ auth: { password }, ...options }));
    try {
      for (let time = 0; time < 3; time++) {
        await traffic.flows();
        await fault(traffic);
        await traffic.flows();
      }
    } finally {
      await traffic.stop();
    }
    return traffic;
  }

  describe.each([
    ["a persistent key, encrypted session", "handle", "session"],
    ["a persistent key, password in clear", "handle", "none"],
    ["a PEM, encrypted session", "pem", "session"],
    ["a PEM, password in clear", "pem", "none"],
    ["a PEM with a policy, encrypted session", "pem", "session", policy],
    ["a persistent key with a policy, password in clear", "handle", "none", policy],
  ] as const)("%s", (_, source, encryption, withPolicy?: TpmPolicy) => {
    let options: TpmKeyOptions;

    beforeAll(async () => {
      // A TPM that loses its power while such a key is in use counts that as a wrong password, unless noDA is set.
      const place = { tcti: suite.tcti, auth: { password }, noDA: true, policy: withPolicy };
      options =
        source === "handle"
          ? await importTpmKey(Buffer.from(secret), { ...place, handle })
          : await importTpmKey(Buffer.from(secret), { ...place, output: "pem" });
      options = {
        ...options,
        encryption,
        policy: withPolicy,
        ...(encryption === "none" ? { auth: { password, mode: "plain" } } : {}),
      };
    });
    afterAll(() => {
      if (source === "handle") suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
    });

    test("the TPM is killed and started again", async () => {
      await survives(options, async () => {
        await suite.tpm.kill();
        await suite.tpm.start();
      });
    });

    test("the TPM is away for a while", async () => {
      const { refused } = await survives(options, async (traffic) => {
        await suite.tpm.kill();
        const before = traffic.refused.get("ERR_TPM_CONNECTION") ?? 0;
        await until("refusals", () => (traffic.refused.get("ERR_TPM_CONNECTION") ?? 0) >= before + requests);
        await suite.tpm.start();
      });
      expect([...refused.keys()]).toEqual(["ERR_TPM_CONNECTION"]);
    });

    test("the TPM answers nothing, then goes on", async () => {
      const { refused } = await survives({ ...options, timeout: 300 }, async (traffic) => {
        suite.tpm.suspend();
        const before = traffic.refused.get("ERR_TIMEOUT") ?? 0;
        try {
          await until("refusals", () => (traffic.refused.get("ERR_TIMEOUT") ?? 0) >= before + requests);
        } finally {
          suite.tpm.resume();
        }
      });
      expect(refused.get("ERR_TIMEOUT")).toBeGreaterThanOrEqual(3 * requests);
    });

    test("the TPM is reset", async () => {
      await survives(options, async () => {
        await suite.tpm.reset();
        suite.tool("tpm2_startup", "-c");
      });
    });

    test("another program flushes our session and our key", async () => {
      // Under traffic a handle that the tool has listed may be gone before it gets there: then it lists them again.
      const flush = (which: string): Promise<void> =>
        until(`tpm2_flushcontext ${which}`, () => {
          try {
            suite.tool("tpm2_flushcontext", which);
            return true;
          } catch (error) {
            expect(String(error)).toMatch(/Esys_(FlushContext|TR_FromTPMPublic|ContextSave|ReadPublic)/);
            return false;
          }
        });
      await survives(options, async () => {
        await flush("-l");
        await flush("-t");
      });
    });
  });
});
