import { readFile, realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { loadSharedConfigFiles } from "@smithy/core/config";
import { invalid, secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { say } from "./output.js";
import { writeWhole } from "./write-file.js";

const line = "aws_secret_access_key";

/** What a profile of the credentials file holds. */
export interface ProfileSecret {
  /** The file's path. */
  file: string;
  accessKeyId: string | undefined;
  /** The caller wipes it; the SDK's loader has read it as a string before. */
  secret: Buffer;
}

/**
 * The long-term secret of a profile of ~/.aws/credentials, or of the file in AWS_SHARED_CREDENTIALS_FILE, as the SDK reads it.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export async function readProfileSecret(profile: string): Promise<ProfileSecret> {
  const file = credentialsPath();
  const { credentialsFile } = await loadSharedConfigFiles({ filepath: file, ignoreCache: true });
  const section = Object.hasOwn(credentialsFile, profile) ? credentialsFile[profile] : undefined;
  if (!section) throw invalid(`--from-profile: there is no profile ${profile} in ${file}`);
  if (section.aws_session_token !== undefined) {
    throw invalid(
      `--from-profile: profile ${profile} has temporary credentials (aws_session_token), which end by themselves: import those of an IAM user`,
    );
  }
  const secret = section[line];
  if (!secret) throw invalid(`--from-profile: profile ${profile} in ${file} has no ${line}`);
  return { file, accessKeyId: section.aws_access_key_id, secret: secretBytes(line, secret) };
}

function credentialsPath(): string {
  const home = process.env.HOME || homedir();
  const file = process.env.AWS_SHARED_CREDENTIALS_FILE || path.join(home, ".aws", "credentials");
  return file.startsWith("~/") ? path.join(home, file.slice(2)) : path.resolve(file);
}

/**
 * Takes the secret's line out of a profile, and nothing else: the new file is read by the SDK's loader before it takes the place of
 * the old one, at once and with its owner and mode. A link stays a link.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`; the file is then as it was
 */
export async function removeProfileSecret(file: string, profile: string, secret: Buffer): Promise<void> {
  const real = await realpath(file);
  const like = await stat(real);
  const before = await readFile(real);
  let after: Buffer | undefined;
  try {
    const [text, original] = [withoutSecret(before.toString("latin1"), profile), await parse(real)];
    after = Buffer.from(text, "latin1");
    const expected = { ...original, [profile]: { ...original[profile] } };
    delete expected[profile]?.[line];
    if (Object.keys(expected[profile] ?? {}).length === 0) delete expected[profile];
    await writeWhole(real, after, {
      replace: true,
      like,
      check: async (draft) => {
        const isAsExpected = isDeepStrictEqual(await parse(draft), expected);
        if (!isAsExpected || !before.equals(await readFile(real))) {
          throw invalid(
            `${file}: it was changed meanwhile, or the line stands where it cannot be told apart: take out ${line} of profile ${profile} by hand`,
          );
        }
      },
    });
    if (after.includes(secret)) say(`the same secret is still in ${file}, in another profile or a comment`);
  } finally {
    wipe(before, after);
  }
}

async function parse(file: string): Promise<Record<string, Record<string, string | undefined>>> {
  const { credentialsFile } = await loadSharedConfigFiles({ filepath: file, ignoreCache: true });
  return credentialsFile;
}

function withoutSecret(text: string, profile: string): string {
  let isInProfile = false;
  const kept = text.split("\n").filter((one) => {
    const [bare = ""] = one.split(/(?:^|\s)[;#]/); // comments, as the SDK reads them
    const header = /^\[(.*)\]$/.exec(bare.trim())?.[1];
    if (header !== undefined) isInProfile = Buffer.from(header, "latin1").toString() === profile;
    return !(isInProfile && /^\s*aws_secret_access_key\s*=/.test(one));
  });
  return kept.join("\n");
}
