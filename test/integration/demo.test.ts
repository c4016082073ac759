import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";

const program = path.join(__dirname, "..", "..", "examples", "demo", "main.mjs");

describeWith(["swtpm", "softhsm", "ceph"], "the demo", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "demo-test-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /**
   * Runs the demo with `folder` for its temporary files; interrupts it once it has printed `after`. SIGINT goes to the
   * whole process group, as from a terminal.
   */
  async function run(interrupt?: { signal: NodeJS.Signals; after: string }) {
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn(process.execPath, [program], { env, detached: true });
    let output = "";
    let sent = false;
    const keep = (chunk: Buffer): void => {
      output += chunk;
      if (!interrupt || sent || !output.includes(interrupt.after)) return;
      const pid = child.pid as number;
      sent = process.kill(interrupt.signal === "SIGINT" ? -pid : pid, interrupt.signal);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { code, output };
  }

  /** Neither processes that have to do with `folder` nor anything in it. */
  async function expectNothingLeft(): Promise<void> {
    await until("the end of what the demo started", () => processesOf(folder).length === 0, 5_000);
    expect(readdirSync(folder)).toEqual([]);
  }

  test("shows all as promised, one signing call for each key and day, and leaves nothing", async () => {
    const { code, output } = await run();
    expect(output).toMatch(/4 keys in 2 devices made [4-8] signing calls/);
    expect(output).not.toContain("✗");
    expect(code).toBe(0);
    await expectNothingLeft();
  }, 120_000);

  test.each([
    ["SIGINT", "while Ceph starts", "SoftHSM", 130],
    ["SIGINT", "once Ceph runs", "Ceph", 130],
    ["SIGTERM", "while Ceph starts", "SoftHSM", 143],
    ["SIGTERM", "in the middle of an import", "PKCS#11\n", 143],
  ] as const)(
    "%s %s ends it, and leaves nothing",
    async (signal, _, after, status) => {
      expect(await run({ signal, after })).toMatchObject({ code: status });
      await expectNothingLeft();
    },
    120_000,
  );
});

function processesOf(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes(folder));
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch (error) {
    // it ended in between
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}
