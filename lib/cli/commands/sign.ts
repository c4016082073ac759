import type { HttpRequest } from "@smithy/types";
import { Command } from "commander";
import { isS3Family } from "../../sigv4/s3.js";
import { HmacSigner } from "../../sigv4/signer.js";
import { curlCommand, headerLines, sentHeaders } from "../curl.js";
import { openIdentity } from "../identity.js";
import { wholeNumber } from "../numbers.js";
import { say, write, writeJson } from "../output.js";
import { describedRequest, type RequestFlags, withRequestOptions } from "../request.js";
import type { BodyFile } from "../request-body.js";
import { type SendFlags, send } from "../send.js";
import { Settings } from "../settings.js";
import { type RoleFlags, withRoleOptions } from "../sts-options.js";

interface Flags extends RoleFlags, RequestFlags, SendFlags {
  service: string;
  json?: boolean;
  curl?: boolean;
  send?: boolean;
}

const examples = `
Examples:
  aws-hmac sign -s sts --send 'https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15'
  aws-hmac sign --send --fail -T photo.jpg https://bucket.s3.eu-central-1.amazonaws.com/
  aws-hmac sign https://bucket.s3.eu-central-1.amazonaws.com/a.txt | curl -H @- https://bucket.s3.eu-central-1.amazonaws.com/a.txt
  aws-hmac sign -s execute-api --data-json '{"a":1}' --curl https://id.execute-api.eu-central-1.amazonaws.com/v1/things`;

/** `aws-hmac sign`: a request, as curl's options describe it, signed for curl or sent. */
export function signCommand(): Command {
  const command = withRoleOptions(new Command("sign"))
    .summary("sign a request, for curl or to send it")
    .description(
      "Sign a request that is described as for curl, and print its headers for `curl -H @file`, or send it. A file is read twice: " +
        "its hash is signed, unless -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' says otherwise.",
    )
    .argument("<url>", "the URL of the request")
    .option("-s, --service <name>", "the service's signing name, e.g. sts, execute-api", "s3");
  return withRequestOptions(command)
    .option("--json", "print method, URL and headers as JSON")
    .option("--curl", "print a curl command line")
    .option("--send", "send the request, and write the answer's body to stdout")
    .option("-v, --verbose", "with --send: show the headers on stderr")
    .option("-f, --fail", "with --send: an HTTP error goes to stderr, and the exit code tells it")
    .option("--max-time <seconds>", "with --send: how long the answer may take", wholeNumber)
    .addHelpText("after", examples)
    .action((url: string, flags: Flags) => sign(url, flags, command));
}

async function sign(text: string, flags: Flags, command: Command): Promise<void> {
  const { service, json, curl, verbose, fail, maxTime } = flags;
  if ([json, curl, flags.send].filter(Boolean).length > 1) {
    command.error("error: --json, --curl and --send exclude each other");
  }
  if (!flags.send && (verbose || fail || maxTime !== undefined)) {
    command.error("error: --verbose, --fail and --max-time go with --send");
  }
  const described = await describedRequest(text, flags);
  const { key, ...identity } = await openIdentity(flags, new Settings(flags));
  let signed: HttpRequest;
  try {
    await using signer = new HmacSigner({ key, ...identity, service });
    signed = await signer.sign(described.request);
  } finally {
    await key.close();
  }
  const { url, file, request } = described;
  const { method } = signed;
  const path = signed.path + url.search;
  if (flags.send) {
    return send({ url, path, method, headers: signed.headers, body: request.body, file }, flags);
  }
  const target = `${url.origin}${path}`;
  const headers = sentHeaders(signed, described);
  if (json) return writeJson({ method, url: target, headers: Object.fromEntries(headers) });
  if (curl) return write(curlCommand(target, method, headerLines(headers), flags));
  if (!isSame(text, target, file, service)) say(`the request must be sent to ${target}`);
  return write(headerLines(headers));
}

/** Whether curl would send its request where it is signed for; on S3 it does not matter how a path is encoded. */
function isSame(text: string, target: string, file: BodyFile | undefined, service: string): boolean {
  const [given = ""] = text.split("#");
  if (file && given.endsWith("/")) return true;
  const same = [given, `${given}/`];
  return same.includes(target) || (isS3Family(service) && same.map(decoded).includes(decoded(target)));
}

function decoded(url: string): string {
  return url.replaceAll(/%[0-9a-f]{2}/gi, (one) => String.fromCharCode(Number.parseInt(one.slice(1), 16)));
}
