import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { CredentialsError } from "../core/errors.js";
import { checkTimeout, invalid } from "../core/validate.js";
import type { ProcessCredentials } from "./credential-json.js";
import { type FileLock, takeLock } from "./file-lock.js";
import { say } from "./output.js";
import { writeWhole } from "./write-file.js";

/** All in milliseconds; docs/cli.md tells the first. */
const times = {
  /** At most so long before the end, and at most the last quarter of their life, new credentials are fetched. */
  lead: 15 * 60_000,
  /** Credentials with less than this are not given out any more. */
  least: 10_000,
  /** Between looks at a lock that somebody has. */
  look: 50,
};
const longest = 64 * 1024;

/** What the file holds: the credentials, for which request, and since when. */
interface Entry {
  for: string;
  from: string;
  credentials: ProcessCredentials;
}

/** Credentials in a file (mode 0600), shared by the processes that want the same. */
export class CredentialCache {
  readonly #file: string;
  readonly #for: string;

  /**
   * @param file its path; in `$XDG_CACHE_HOME/aws-hmac` or `~/.cache/aws-hmac` where there is none
   * @param request all that the credentials depend on; only its hash is kept
   */
  constructor(file: string | undefined, request: unknown) {
    this.#for = createHash("sha256").update(JSON.stringify(request)).digest("hex");
    const folder = path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "aws-hmac");
    this.#file = path.resolve(file ?? path.join(folder, `${this.#for}.json`));
  }

  /**
   * The credentials in the file, or what `fetch` gives: only one process of those that want them fetches, and the others
   * wait for it, or go on with credentials that still have some time. When fetching fails, these are good enough too.
   *
   * @param timeout milliseconds to wait for another process; 30,000 unless given
   * @throws AwsHmacError `ERR_INVALID_ARGUMENT` of a file or folder that cannot be used, `ERR_STS_TIMEOUT`, and what `fetch` throws
   */
  async get(
    fetch: () => Promise<ProcessCredentials>,
    timeout: number | undefined,
  ): Promise<ProcessCredentials> {
    const end = performance.now() + checkTimeout(timeout);
    for (;;) {
      const entry = await this.#read();
      if (entry && isFresh(entry)) return entry.credentials;
      const lock = await this.#lock();
      if (lock) return this.#refresh(lock, fetch);
      if (entry && isGood(entry)) return entry.credentials; // whoever has the lock fetches new ones
      if (performance.now() > end) throw held(`${this.#file}.lock`);
      await pause(times.look);
    }
  }

  async #refresh(lock: FileLock, fetch: () => Promise<ProcessCredentials>): Promise<ProcessCredentials> {
    try {
      const entry = await this.#read(); // it may have changed before the lock was ours
      if (entry && isFresh(entry)) return entry.credentials;
      const from = new Date().toISOString();
      let credentials: ProcessCredentials;
      try {
        credentials = await fetch();
      } catch (error) {
        if (!entry || !isGood(entry)) throw error;
        say(`the cached credentials stay in use: ${(error as Error).message}`);
        return entry.credentials;
      }
      const text = `${JSON.stringify({ for: this.#for, from, credentials } satisfies Entry)}\n`;
      await writeWhole(this.#file, text, { replace: true }).catch((error) => {
        say(`the credentials were not cached: ${(error as Error).message}`);
      });
      return credentials;
    } finally {
      await lock.release();
    }
  }

  async #lock(): Promise<FileLock | undefined> {
    try {
      await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
      return await takeLock(`${this.#file}.lock`);
    } catch (cause) {
      throw invalid(`--cache ${this.#file}: its folder cannot be used (${(cause as Error).message})`);
    }
  }

  async #read(): Promise<Entry | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(this.#file, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw invalid(`--cache ${this.#file} cannot be opened (${(error as NodeJS.ErrnoException).code})`);
    }
    try {
      const status = await handle.stat();
      if (!status.isFile() || status.uid !== process.geteuid?.() || (status.mode & 0o077) !== 0) {
        throw invalid(`--cache ${this.#file} must be a file of this user's, closed to others: remove it`);
      }
      return status.size > longest ? undefined : parse(await handle.readFile("utf8"), this.#for);
    } finally {
      await handle.close();
    }
  }
}

/** Undefined for anything else than what was written for the same request: it is replaced. */
function parse(text: string, request: string): Entry | undefined {
  let entry: Partial<Entry> | null;
  try {
    entry = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = entry?.credentials ?? {};
  const isWhole = [AccessKeyId, SecretAccessKey, SessionToken, Expiration, entry?.from].every(
    (part) => typeof part === "string" && part !== "",
  );
  return isWhole && entry?.for === request ? (entry as Entry) : undefined;
}

function isGood({ from, credentials }: Entry): boolean {
  const now = Date.now();
  // what comes from the future tells of a clock that was set back: its end cannot be trusted either
  return Date.parse(from) <= now + 60_000 && now < Date.parse(credentials.Expiration) - times.least;
}

function isFresh(entry: Entry): boolean {
  const [start, end] = [Date.parse(entry.from), Date.parse(entry.credentials.Expiration)];
  return isGood(entry) && Date.now() < end - Math.min(times.lead, (end - start) / 4);
}

function held(lock: string): CredentialsError {
  return new CredentialsError(
    "ERR_STS_TIMEOUT",
    `another process fetches the credentials and is not done (${lock})`,
    { retryable: true },
  );
}
