import { randomBytes } from "node:crypto";
import { link, open, rename, rm } from "node:fs/promises";
import path from "node:path";

/** How {@link writeWholeFile} writes. */
export interface WholeFileOptions {
  /** Takes the place of a file that is there; without it that is EEXIST. */
  replace?: boolean | undefined;
  /** What the file shall have; by default mode 0600 and the owner of this process. */
  like?: { mode: number; uid: number; gid: number } | undefined;
  /** Looks at the complete draft before it gets its name; what it throws leaves all as it was. */
  check?: ((draft: string) => Promise<void>) | undefined;
}

/**
 * Writes a file that appears under its name when it is complete and on the disk, or not at all.
 *
 * @throws what node:fs and `check` throw
 */
export async function writeWholeFile(
  file: string,
  content: string | Uint8Array,
  { replace = false, like, check }: WholeFileOptions = {},
): Promise<void> {
  const draft = path.join(path.dirname(file), `.aws-hmac-${randomBytes(8).toString("hex")}`);
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      const made = await handle.stat();
      if (like && (like.uid !== made.uid || like.gid !== made.gid)) await handle.chown(like.uid, like.gid);
      if (like) await handle.chmod(like.mode & 0o7777);
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await check?.(draft);
    if (replace) await rename(draft, file);
    else await link(draft, file); // fails where there is a file, which rename() would replace
  } finally {
    await rm(draft, { force: true });
  }
}
