import process from "node:process";
import { Command } from "commander";
import { HmacSigner } from "../../sigv4/signer.js";
import { type KeyFlags, openKeyOf, withSigningOptions } from "../key-options.js";
import { readLines } from "../lines.js";
import { wholeNumber } from "../numbers.js";
import { write } from "../output.js";
import { Progress } from "../progress.js";
import { Settings } from "../settings.js";

interface Flags extends KeyFlags {
  service: string;
  method: string;
  expires: number;
  stdin?: boolean;
}

const examples = `
Examples:
  aws-hmac presign -k tpm:0x81008001 https://bucket.s3.eu-central-1.amazonaws.com/report.pdf
  aws-hmac presign --method PUT --expires 900 https://bucket.s3.eu-central-1.amazonaws.com/upload
  aws-hmac presign --stdin < urls.txt > presigned.txt`;

/** `aws-hmac presign`: URLs of which everybody who has one may make the request. */
export function presignCommand(): Command {
  return withSigningOptions(new Command("presign"))
    .summary("presign URLs")
    .description("Presign a URL, or with --stdin a URL in each line, in the order of the lines.")
    .argument("[url]", "the URL to presign")
    .option("--stdin", "presign the lines of stdin; empty ones are left out")
    .option("-s, --service <name>", "the service", "s3")
    .option("-X, --method <method>", "the method of the request", "GET")
    .option("-e, --expires <seconds>", "how long the URL is good: 1 to 604800 seconds", wholeNumber, 3600)
    .addHelpText("after", examples)
    .action((url: string | undefined, flags: Flags, command: Command) => presign(url, flags, command));
}

async function presign(url: string | undefined, flags: Flags, command: Command): Promise<void> {
  if ((url === undefined) === (flags.stdin !== true)) command.error("error: give a URL, or --stdin");
  const settings = new Settings(flags);
  const [accessKeyId, region] = [await settings.require("accessKeyId"), await settings.require("region")];
  const { service, method, expires: expiresIn } = flags;
  const key = await openKeyOf(flags, settings);
  try {
    await using signer = new HmacSigner({ key, accessKeyId, region, service });
    if (url !== undefined) await write(`${await signer.presignUrl(url, { method, expiresIn })}\n`);
    else await writeLines(signer.presignUrls(readLines(process.stdin), { method, expiresIn }));
  } finally {
    await key.close();
  }
}

/** In chunks of 64 KiB: a write for each line would take longer than its signature. What came before an error is written. */
async function writeLines(lines: AsyncIterable<string>): Promise<void> {
  let chunk = "";
  let count = 0;
  using _ = new Progress(() => `${count} URLs`);
  try {
    for await (const line of lines) {
      count += 1;
      chunk += `${line}\n`;
      if (chunk.length < 65_536) continue;
      await write(chunk);
      chunk = "";
    }
  } finally {
    await write(chunk);
  }
}
