import { readFile } from "node:fs/promises";
import process from "node:process";
import { text as textOf } from "node:stream/consumers";
import { Command } from "commander";
import type { MacSource } from "../../core/hmac-key.js";
import { invalid } from "../../core/validate.js";
import type { Explanation } from "../../sigv4/explain.js";
import { HmacSigner } from "../../sigv4/signer.js";
import { wholeNumber } from "../numbers.js";
import { write, writeJson } from "../output.js";
import { describedRequest, type RequestFlags, withRequestOptions } from "../request.js";
import { type SettingFlags, Settings } from "../settings.js";

interface Flags extends SettingFlags, RequestFlags {
  service: string;
  expires?: number;
  date?: Date;
  awsError?: string;
  json?: boolean;
}

const examples = `
Examples:
  aws-hmac explain -i AKIAIOSFODNN7EXAMPLE -r eu-central-1 https://bucket.s3.eu-central-1.amazonaws.com/a.txt
  aws-hmac explain -s sqs -d Action=ListQueues --aws-error answer.xml https://sqs.eu-central-1.amazonaws.com/
  curl … | aws-hmac explain --aws-error - https://bucket.s3.eu-central-1.amazonaws.com/a.txt`;

/** No key is asked. */
const noKey: MacSource = {
  mac: () => Promise.reject(new Error("explaining asks no key")),
};

/** `aws-hmac explain`: what is signed of a request, and where AWS saw something else. */
export function explainCommand(): Command {
  const command = new Command("explain")
    .summary("show what is signed, and where AWS saw something else")
    .description(
      "Show the canonical request and the string to sign of a request that is described as for curl. Nothing is signed, and no key needed. " +
        "With --aws-error, say what AWS saw otherwise, of its answer SignatureDoesNotMatch.",
    )
    .argument("<url>", "the URL of the request")
    .option("-p, --profile <name>", "the profile of ~/.aws/config that holds settings")
    .option("-i, --access-key-id <id>", "the access key id")
    .option("-r, --region <region>", "the region")
    .option("-s, --service <name>", "the service's signing name, e.g. sts, execute-api", "s3");
  return withRequestOptions(command)
    .option("-e, --expires <seconds>", "explain the presigned URL that is good for so long", wholeNumber)
    .option("--date <date>", "the signing date (default: AWS's, else now)", dateOf)
    .option("--aws-error <path>", "the answer, or its message, in a file; - is stdin")
    .option("--json", "print JSON")
    .addHelpText("after", examples)
    .action((url: string, flags: Flags) => explain(url, flags));
}

async function explain(url: string, flags: Flags): Promise<void> {
  const { service, expires, date, awsError, json } = flags;
  const settings = new Settings(flags);
  const [accessKeyId, region] = [await settings.require("accessKeyId"), await settings.require("region")];
  const { request } = await describedRequest(url, flags);
  await using signer = new HmacSigner({ key: noKey, accessKeyId, region, service });
  const explanation = await signer.explain(request, {
    ...(expires !== undefined && { expiresIn: expires }),
    ...(date && { signingDate: date }),
    ...(awsError !== undefined && { awsError: await answerIn(awsError) }),
  });
  if (json) return writeJson(explanation);
  return write(readable(explanation, accessKeyId));
}

function readable({ canonicalRequest, stringToSign, differences }: Explanation, accessKeyId: string): string {
  const texts = `Canonical request:\n${indented(canonicalRequest)}\nString to sign:\n${indented(stringToSign)}`;
  if (!differences) return texts;
  if (differences.length === 0) {
    return `${texts}\nAWS saw the same: the secret that signed does not belong to ${accessKeyId}, or another key signed.\n`;
  }
  const told = differences.map(
    ({ part, signed, seen, hint }) =>
      `  ${part}\n    here  ${signed ?? "(not there)"}\n    AWS   ${seen ?? "(not there)"}\n    ${hint}\n`,
  );
  return `${texts}\nAWS saw something else:\n${told.join("")}`;
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, "  ").replaceAll(/^ +$/gm, "").concat("\n");
}

async function answerIn(file: string): Promise<string> {
  if (file === "-") return textOf(process.stdin);
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw invalid(`--aws-error: cannot read ${file} (${(cause as NodeJS.ErrnoException).code})`);
  }
}

/** As AWS writes it, `20261123T120000Z`, or as ISO 8601 has it. */
function dateOf(text: string): Date {
  const iso = text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");
  const date = new Date(iso);
  if (Number.isNaN(date.getTime()))
    throw invalid("--date must be as 20261123T120000Z or 2026-11-23T12:00:00Z");
  return date;
}
