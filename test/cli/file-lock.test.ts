import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { takeLock } from "../../lib/cli/file-lock.js";
import { temporaryFolder } from "../support/process.js";

describe("a lock of processes", () => {
  const { folder, remove } = temporaryFolder("lock");
  const file = path.join(folder, "lock");
  afterAll(remove);
  beforeEach(() => rmSync(file, { force: true }));

  /** Of a process that was, and is no more. */
  const dead = `${spawnSync("true").pid} x ${hostname()}\n`;
  const minuteAgo = new Date(Date.now() - 60_000);

  test("is had by one, until it is released", async () => {
    const lock = await takeLock(file);
    expect(await takeLock(file)).toBeUndefined();
    await lock?.release();
    expect(readdirSync(folder)).toEqual([]);
    await (await takeLock(file))?.release();
  });

  test("of many who find one of a dead process, one gets it", async () => {
    for (let round = 0; round < 50; round++) {
      writeFileSync(file, dead);
      const locks = (await Promise.all(Array.from({ length: 30 }, () => takeLock(file)))).filter(Boolean);
      expect(locks.length).toBeLessThanOrEqual(1);
      const lock = locks[0] ?? (await takeLock(file));
      expect(lock).toBeDefined();
      await lock?.release();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  test.each([
    ["of this machine", `${process.pid} x ${hostname()}\n`],
    ["of another machine", `${spawnSync("true").pid} x elsewhere\n`],
    ["that nothing was written to yet", ""],
  ])("one %s is taken away once nobody touched it for long", async (_, text) => {
    writeFileSync(file, text);
    expect(await takeLock(file)).toBeUndefined();
    utimesSync(file, minuteAgo, minuteAgo);
    const lock = await takeLock(file);
    expect(lock).toBeDefined();
    await lock?.release();
  });

  test("who lost it leaves it to the next one", async () => {
    const lost = await takeLock(file);
    utimesSync(file, minuteAgo, minuteAgo);
    const lock = await takeLock(file);
    const text = readFileSync(file, "utf8");
    await lost?.release();
    expect(readFileSync(file, "utf8")).toBe(text);
    await lock?.release();
  });

  test("a folder that is not there is an error", async () => {
    await expect(takeLock(path.join(folder, "none", "lock"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});
