import { createHash, randomUUID } from "node:crypto";
import { type FileHandle, open, readFile, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import process from "node:process";

/** How often its holder touches the lock, and from which age on nobody holds it (milliseconds). */
const beat = 1_000;
const deadAfter = 10_000;

/** A lock that is held, until `release`. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Takes the lock, a file that only one process can make; undefined where somebody has it. A lock whose process is gone,
 * or that nobody touched for 10 s, is taken away from it.
 *
 * @param file the lock's own path, in a folder that others cannot write to
 * @throws what the file system says but for "it is there"
 */
export async function takeLock(file: string): Promise<FileLock | undefined> {
  const lock = await make(file);
  if (lock) return lock;
  const held = await textOf(file);
  if (held === undefined || !(await isDead(file, held))) return undefined;
  await removeDead(file, held);
  return make(file);
}

async function make(file: string): Promise<FileLock | undefined> {
  const handle = await create(file);
  if (!handle) return undefined;
  const text = `${process.pid} ${randomUUID()} ${hostname()}\n`;
  try {
    await handle.writeFile(text);
  } catch (error) {
    await handle.close();
    await unlink(file);
    throw error;
  }
  const touch = setInterval(() => {
    const now = new Date();
    handle.utimes(now, now).catch(() => clearInterval(touch)); // it ages: the others see to it
  }, beat);
  touch.unref();
  return {
    async release() {
      clearInterval(touch);
      await handle.close();
      if ((await textOf(file)) === text) await unlink(file);
    },
  };
}

/** Undefined where it is there already. */
async function create(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
}

async function isDead(file: string, text: string): Promise<boolean> {
  if (await isOld(file)) return true;
  const [, pid, host] = /^(\d+) \S+ (.*)\n$/.exec(text) ?? [];
  if (pid === undefined || host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Only one process may remove a certain lock: the one after it would remove the lock that somebody made since. */
async function removeDead(file: string, text: string): Promise<void> {
  const claim = `${file}.${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
  const handle = await create(claim);
  if (!handle) {
    if (await isOld(claim)) await unlinkIfThere(claim); // whoever made it died of it
    return;
  }
  try {
    if ((await textOf(file)) === text) await unlinkIfThere(file);
  } finally {
    await handle.close();
    await unlinkIfThere(claim);
  }
}

async function isOld(file: string): Promise<boolean> {
  const status = await ifThere(stat(file));
  return status !== undefined && Date.now() - status.mtimeMs > deadAfter;
}

function textOf(file: string): Promise<string | undefined> {
  return ifThere(readFile(file, "utf8"));
}

async function unlinkIfThere(file: string): Promise<void> {
  await ifThere(unlink(file));
}

async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
