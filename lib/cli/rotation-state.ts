import { mkdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir } from "node:os";
import path from "node:path";
import process from "node:process";
import { AwsHmacError } from "../core/errors.js";
import { writeWhole } from "./write-file.js";

/** How far a rotation has come; each step is written down when it is done, `creating` before. */
export type RotationStep = "creating" | "created" | "imported" | "verified" | "deactivated";

const steps: readonly RotationStep[] = ["creating", "created", "imported", "verified", "deactivated"];

/** What a rotation must know to go on after its end; no secrets. */
export interface RotationState {
  step: RotationStep;
  oldAccessKeyId: string;
  /** When it began, in ISO 8601: no access key of it is older. */
  startedAt: string;
  /** Where the new key goes, as it was said. */
  to: string;
  newAccessKeyId?: string;
  /** Where it is, as the import says. */
  reference?: string;
}

/** The file of a rotation's state, which nobody else works on while it is open. */
export class RotationFile {
  readonly path: string;
  readonly #unlock: () => void;

  private constructor(file: string, unlock: () => void) {
    this.path = file;
    this.#unlock = unlock;
  }

  /**
   * @param given its path; by default one of this user's for the access key
   * @throws AwsHmacError `ERR_ROTATION` where another process rotates the same key
   */
  static async open(accessKeyId: string, given?: string): Promise<RotationFile> {
    const home = process.env.XDG_STATE_HOME || path.join(process.env.HOME || homedir(), ".local", "state");
    const file = path.resolve(
      given ?? path.join(home, "aws-hmac", `rotate-${encodeURIComponent(accessKeyId)}.json`),
    );
    return new RotationFile(file, await lock(accessKeyId));
  }

  /** @throws AwsHmacError `ERR_ROTATION` of a file that is no rotation's */
  async read(): Promise<RotationState | undefined> {
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw unreadable(this.path, cause);
    }
    try {
      const state = JSON.parse(text) as RotationState;
      const texts = [state.oldAccessKeyId, state.startedAt, state.to];
      const later = state.step === "creating" ? [] : [state.newAccessKeyId];
      const last = steps.indexOf(state.step) < steps.indexOf("imported") ? [] : [state.reference];
      const isWhole = [...texts, ...later, ...last].every((each) => typeof each === "string");
      if (isWhole && steps.includes(state.step)) return state;
    } catch (cause) {
      throw unreadable(this.path, cause);
    }
    throw unreadable(this.path);
  }

  async write(state: RotationState): Promise<void> {
    await mkdir(path.dirname(this.path), { recursive: true, mode: 0o700 }).catch(() => undefined); // writing says why not
    await writeWhole(this.path, `${JSON.stringify(state, undefined, 2)}\n`, { replace: true });
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  close(): void {
    this.#unlock();
  }
}

function unreadable(file: string, cause?: unknown): AwsHmacError {
  return new AwsHmacError("ERR_ROTATION", `${file} is no state of a rotation, or cannot be read`, { cause });
}

/**
 * A name that the kernel gives one process and takes back at its end, however that comes: an abstract socket, which only Linux
 * has (unix(7)). Elsewhere nothing is locked.
 */
async function lock(accessKeyId: string): Promise<() => void> {
  if (process.platform !== "linux") return () => undefined;
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const message = `another process rotates ${accessKeyId}: wait for its end`;
      reject(new AwsHmacError("ERR_ROTATION", message, { cause }));
    });
    server.listen(`\0aws-hmac-rotate-${process.getuid?.()}-${accessKeyId}`, resolve);
  });
  return () => void server.close();
}
