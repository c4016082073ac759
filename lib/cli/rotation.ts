import { AwsHmacError } from "../core/errors.js";
import type { HmacKey } from "../core/hmac-key.js";
import { wipe } from "../core/wipe.js";
import { type AccessKey, Iam, IamError } from "./iam.js";
import type { IamEndpoint } from "./iam-endpoint.js";
import { type ImportFlags, importSecret, importTarget } from "./importer.js";
import { openReference } from "./key-options.js";
import { say } from "./output.js";
import { isFree } from "./place-beside.js";
import type { RotationFile, RotationState } from "./rotation-state.js";
import { latestVersion } from "./vault-key.js";

/** What a rotation works with. */
export interface RotationParts {
  file: RotationFile;
  endpoint: IamEndpoint;
  /** The old key's reference. */
  oldKey: string;
  flags: ImportFlags;
  /** Milliseconds that IAM may take to know a new key everywhere. */
  patience: number;
  /** Asks before a step that takes something away; rejects where the answer is no. */
  agree(question: string): Promise<void>;
}

/** Imports into a token and into Vault are proved when the key is there already: one that was interrupted is done again. */
const provedLater: readonly string[] = ["pkcs11", "vault"];
/** Between this machine's clock and IAM's: ms. */
const clockSkew = 5 * 60_000;

/** What became of a rotation so far. */
export type RotationOutcome = RotationState & { oldKey: "active" | "inactive" | "deleted" };

/**
 * Takes a rotation from any of its steps to its end. Before the import nothing is lost with a new key that nobody has: it is
 * deleted, and another one made. From then on the new key itself signs the calls.
 */
export class Rotation {
  readonly #parts: RotationParts;
  #state: RotationState;
  #oldKey: RotationOutcome["oldKey"] = "active";

  constructor(parts: RotationParts, state: RotationState) {
    this.#parts = parts;
    this.#state = state;
  }

  get outcome(): RotationOutcome {
    return { ...this.#state, oldKey: this.#oldKey };
  }

  async run(): Promise<void> {
    const isResumed = this.#state.step !== "creating" || (await this.#parts.file.read()) !== undefined;
    if (this.#state.step === "created") await this.#resumeCreated();
    if (this.#state.step === "creating") await this.#make(isResumed);
    const { newAccessKeyId = "", reference = "", oldAccessKeyId } = this.#state;
    await this.#signing(reference, newAccessKeyId, async (iam) => {
      if (this.#state.step === "imported") {
        say(`waiting until IAM knows ${newAccessKeyId}`);
        await this.#patiently(() => iam.list());
        await this.#reach("verified");
        say(`${newAccessKeyId} signs, with the key ${reference}`);
      }
      if (this.#state.step === "verified") {
        const last = await this.#patiently(() => iam.lastUse(oldAccessKeyId)).catch(unlessDenied);
        const used = last === undefined ? "" : `, last used ${last}`;
        await this.#parts.agree(
          `Deactivate ${oldAccessKeyId}${used}? What still signs with it is refused then.`,
        );
        await this.#patiently(() => iam.deactivate(oldAccessKeyId)).catch(unlessGone);
        await this.#reach("deactivated");
        say(`${oldAccessKeyId} is inactive`);
      }
      this.#oldKey = "inactive";
      await this.#parts.agree(`Delete ${oldAccessKeyId} for good?`);
      await this.#patiently(() => iam.delete(oldAccessKeyId)).catch(unlessGone);
      this.#oldKey = "deleted";
      await this.#parts.file.remove();
      say(`${oldAccessKeyId} is deleted`);
    });
  }

  /** Makes the new access key and puts its secret where it goes. */
  async #make(isResumed: boolean): Promise<void> {
    const { oldKey, flags } = this.#parts;
    const { oldAccessKeyId, to } = this.#state;
    await this.#signing(oldKey, oldAccessKeyId, async (iam) => {
      if (isResumed) await this.#discardLost(iam, await iam.list());
      const target = importTarget(to, flags);
      await this.#reach("creating");
      const made = await iam.create().catch(async (error: unknown) => {
        const isRefused = error instanceof IamError && error.iamCode !== "" && !error.retryable;
        if (isRefused) await this.#parts.file.remove();
        throw error;
      });
      try {
        this.#state = { ...this.#state, newAccessKeyId: made.id };
        await this.#reach("created");
        // what an interrupted import left there is in the way of this one
        const replace = flags.replace || (isResumed && !flags.newVersion && target.backend !== "aws-kms");
        const { reference } = await importSecret(made.secret, target, { ...flags, replace });
        this.#state = { ...this.#state, reference };
        await this.#reach("imported");
      } catch (error) {
        await this.#undo(iam, made.id, error);
        throw error;
      } finally {
        wipe(made.secret);
      }
      say(`${made.id} is made, and its secret is in ${this.#state.reference}`);
    });
  }

  /** The import failed: nobody has the secret. Where it may have worked after all, the next run finds out. */
  async #undo(iam: Iam, id: string, error: unknown): Promise<void> {
    if (this.#state.step === "imported" || (error instanceof AwsHmacError && error.code === "ERR_TIMEOUT"))
      return;
    try {
      await iam.delete(id);
      await this.#parts.file.remove();
      say(`${id} was made, could not be imported, and is deleted again`);
    } catch (cause) {
      if (!(cause instanceof AwsHmacError)) throw cause;
      say(
        `${id} was made and could not be imported; deleting it failed (${cause.message}): run the same again`,
      );
    }
  }

  /** It ended between IAM's answer and the note that the secret is in the device: is it? */
  async #resumeCreated(): Promise<void> {
    const { oldKey, flags } = this.#parts;
    const { to, newAccessKeyId = "", oldAccessKeyId } = this.#state;
    const keys = await this.#listAs(oldKey, oldAccessKeyId);
    const isListed = keys?.some(({ id }) => id === newAccessKeyId) ?? true;
    const isProved = keys === undefined || !provedLater.includes(importTarget(to, flags).backend);
    const reference = isListed && isProved ? await latestVersion(to, flags) : to;
    if (isListed && isProved && (await this.#listAs(reference, newAccessKeyId))) {
      this.#state = { ...this.#state, reference };
      return this.#reach("imported");
    }
    if (!keys) {
      throw new AwsHmacError(
        "ERR_ROTATION",
        `neither ${oldKey} signs as ${oldAccessKeyId} nor ${to} as ${newAccessKeyId}: look with "aws-hmac list" for the key, or ask an administrator for a new access key`,
      );
    }
    await this.#signing(oldKey, oldAccessKeyId, (iam) => iam.delete(newAccessKeyId).catch(unlessGone));
    say(`${newAccessKeyId} was made and not imported: it is deleted`);
    const { newAccessKeyId: _, ...state } = this.#state;
    this.#state = state;
    await this.#reach("creating");
  }

  /** The user's access keys, where the key at the reference is this access key's. IAM may not know a new one yet. */
  async #listAs(reference: string, accessKeyId: string): Promise<AccessKey[] | undefined> {
    if (await isFree(reference, this.#parts.flags)) return undefined;
    try {
      return await this.#signing(reference, accessKeyId, (iam) => this.#patiently(() => iam.list()));
    } catch (error) {
      if (error instanceof IamError && error.iamCode === "SignatureDoesNotMatch") return undefined;
      throw error;
    }
  }

  /** It ended about when IAM made the key, whose id nobody noted: the one that is there now, if there is one. */
  async #discardLost(iam: Iam, keys: readonly AccessKey[]): Promise<void> {
    const { oldAccessKeyId, startedAt } = this.#state;
    for (const { id, created } of keys.filter((key) => key.id !== oldAccessKeyId)) {
      const last = await iam.lastUse(id).catch(unlessDenied);
      const isLost = last === undefined && created.getTime() >= new Date(startedAt).getTime() - clockSkew;
      if (!isLost) {
        throw new AwsHmacError(
          "ERR_ROTATION",
          `the user has the access key ${id} too, which this rotation did not make, and IAM allows no third: delete it first`,
        );
      }
      await this.#parts.agree(
        `Delete ${id}, which the interrupted rotation seems to have made, and whose secret nobody has?`,
      );
      await iam.delete(id).catch(unlessGone);
      say(`${id} was made and not imported: it is deleted`);
    }
  }

  async #reach(step: RotationState["step"]): Promise<void> {
    this.#state = { ...this.#state, step };
    await this.#parts.file.write(this.#state);
  }

  async #signing<T>(reference: string, accessKeyId: string, use: (iam: Iam) => Promise<T>): Promise<T> {
    const { flags, endpoint } = this.#parts;
    const key: HmacKey = await openReference(reference, flags);
    const iam = new Iam(key, accessKeyId, endpoint, flags.timeout);
    try {
      return await use(iam);
    } finally {
      await iam.close();
      await key.close();
    }
  }

  /** Repeats a call that does no harm twice, while IAM does not know the new key yet, or is busy. */
  async #patiently<T>(call: () => Promise<T>): Promise<T> {
    const end = Date.now() + this.#parts.patience;
    for (let wait = 500; ; wait = Math.min(wait * 2, 5_000)) {
      try {
        return await call();
      } catch (error) {
        const passes =
          error instanceof IamError && (error.retryable || error.iamCode === "InvalidClientTokenId");
        if (!passes || Date.now() + wait > end) throw error;
      }
      await new Promise((next) => setTimeout(next, wait));
    }
  }
}

/** For what is to be gone anyway. */
function unlessGone(error: unknown): void {
  if (!(error instanceof IamError) || error.iamCode !== "NoSuchEntity") throw error;
}

/** For what is only told. */
function unlessDenied(error: unknown): undefined {
  if (!(error instanceof IamError)) throw error;
  return undefined;
}
