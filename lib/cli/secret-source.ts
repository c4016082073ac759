import { rm } from "node:fs/promises";
import process from "node:process";
import type { Command } from "commander";
import { AwsHmacError } from "../core/errors.js";
import { readPrivateFile } from "../core/private-file.js";
import { invalid } from "../core/validate.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import { readProfileSecret, removeProfileSecret } from "./credentials-file.js";
import { askSecret } from "./terminal.js";

/** The most bytes that stdin may give. */
const longest = 4096;

/** What the flags of {@link withSecretSource} say. */
export interface SecretSourceFlags {
  stdin?: boolean;
  secretFile?: string;
  fromProfile?: string;
}

/** A secret access key in plain text, and what is left of it where it was read. */
export interface PlainSecret {
  /** The caller wipes it. */
  secret: Buffer;
  /** Of the profile, where there was one. */
  accessKeyId?: string | undefined;
  /** What `remove` removes, for questions; neither is there where nothing is left. */
  remains?: string;
  remove?(): Promise<void>;
}

/** Adds the flags that say where a secret access key is read; without them it is asked for. */
export function withSecretSource(command: Command): Command {
  return command
    .option("--stdin", "read the secret from stdin")
    .option("--secret-file <path>", "read it from a file that is closed to others")
    .option("--from-profile <name>", "read it from a profile of ~/.aws/credentials");
}

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT`; Unconfirmed where it would be asked for without a terminal */
export async function readPlainSecret(flags: SecretSourceFlags): Promise<PlainSecret> {
  const { stdin, secretFile, fromProfile } = flags;
  if ([stdin, secretFile, fromProfile].filter((each) => each !== undefined).length > 1) {
    throw invalid("--stdin, --secret-file and --from-profile exclude each other");
  }
  if (stdin) return { secret: await readStdin() };
  if (secretFile !== undefined) {
    const refuse = (reason: string, cause?: unknown): AwsHmacError =>
      new AwsHmacError("ERR_INVALID_ARGUMENT", `--secret-file: ${reason}`, { cause });
    const secret = await readPrivateFile(secretFile, refuse);
    return { secret, remains: `the file ${secretFile}`, remove: () => removeFile(secretFile) };
  }
  if (fromProfile === undefined) return { secret: await askSecret("Secret access key: ") };
  const { file, accessKeyId, secret } = await readProfileSecret(fromProfile);
  return {
    ...{ secret, accessKeyId, remains: `aws_secret_access_key of profile ${fromProfile} in ${file}` },
    remove: () => removeProfileSecret(file, fromProfile, secret),
  };
}

async function removeFile(file: string): Promise<void> {
  try {
    await rm(file);
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw new AwsHmacError("ERR_INVALID_ARGUMENT", `${file} cannot be removed (${code})`, { cause });
  }
}

/** What stdin has, but for one newline at its end. */
async function readStdin(): Promise<Buffer> {
  if (process.stdin.isTTY)
    throw invalid("--stdin: it is a terminal; without --stdin the secret is asked for");
  const bytes = secretBuffer(longest);
  let length = 0;
  try {
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      const isTooLong = length + chunk.length > longest;
      if (!isTooLong) length += chunk.copy(bytes, length);
      wipe(chunk);
      if (isTooLong) throw invalid(`--stdin: more than ${longest} bytes came`);
    }
    while (length > 0 && (bytes[length - 1] === 0x0a || bytes[length - 1] === 0x0d)) length--;
    if (length === 0) throw invalid("--stdin: nothing came");
    const secret = secretBuffer(length);
    bytes.copy(secret, 0, 0, length);
    return secret;
  } finally {
    wipe(bytes);
  }
}
