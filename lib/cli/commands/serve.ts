import { rm } from "node:fs/promises";
import process from "node:process";
import { Command } from "commander";
import { invalid } from "../../core/validate.js";
import { wholeNumber } from "../numbers.js";
import { say, write, writeJson } from "../output.js";
import { containerAnswers, containerVariables, newToken } from "../serve/container.js";
import { imdsAnswers } from "../serve/imds.js";
import { isLoopback, startEndpoint } from "../serve/server.js";
import { openSession } from "../serve/session.js";
import { Settings } from "../settings.js";
import { type StsFlags, withStsOptions } from "../sts-options.js";
import { writeWhole } from "../write-file.js";

interface Flags extends StsFlags {
  imds?: boolean;
  host: string;
  port: number;
  tokenFile?: string;
  json?: boolean;
}

const examples = `
Examples:
  aws-hmac serve -k tpm:0x81008001 --role-arn arn:aws:iam::123456789012:role/reader
  aws-hmac serve --profile signer --port 1338 --token-file ~/.aws/serve-token
  aws-hmac serve --profile signer --imds --json`;

/** `aws-hmac serve`: temporary credentials over HTTP, until it is ended. */
export function serveCommand(): Command {
  return withStsOptions(new Command("serve"))
    .summary("serve temporary credentials to AWS tools and SDKs over HTTP")
    .description(
      "Serve temporary credentials as a container's credentials endpoint does, or with --imds as the metadata service of an EC2 instance. Prints the variables to set where they are wanted, and goes on until it is ended (SIGINT, SIGTERM).",
    )
    .option("--imds", "be the instance metadata service, version 2")
    .option("--host <address>", "where to listen", "127.0.0.1")
    .option("--port <number>", "on which port; 0: a free one", wholeNumber, 0)
    .option(
      "--token-file <path>",
      "write the token that callers need into a file (mode 0600), which is removed at the end",
    )
    .option("--json", "print the variables as JSON")
    .addHelpText("after", examples)
    .action((flags: Flags) => serve(flags));
}

async function serve(flags: Flags): Promise<void> {
  const { host, port, json, imds, tokenFile } = flags;
  if (port > 65_535) throw invalid("--port must be from 0 to 65535");
  if (imds && tokenFile !== undefined)
    throw invalid("--token-file: with --imds callers get tokens themselves");
  await using session = await openSession(flags, new Settings(flags));
  const { instance, source } = session;
  const token = newToken();
  const answers = imds ? imdsAnswers(instance, source) : containerAnswers(token, source);
  await using endpoint = await startEndpoint({ host, port }, answers);
  if (!isLoopback(host))
    say(`whoever reaches ${host} can ask for credentials${imds ? "" : ", with the token"}`);
  const ended = endSignal();
  try {
    if (tokenFile !== undefined) await writeWhole(tokenFile, token, { replace: true });
    const variables = imds
      ? { AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint.url }
      : containerVariables(endpoint.url, tokenFile === undefined ? { token } : { tokenFile });
    await (json ? writeJson(variables) : write(exportLines(variables)));
    await ended;
  } finally {
    if (tokenFile !== undefined) await rm(tokenFile, { force: true });
  }
}

/** For a shell: `export NAME='value'`. */
function exportLines(variables: Record<string, string>): string {
  const quoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${quoted(value)}\n`)
    .join("");
}

/** Resolves when somebody ends this process; who does so twice ends it at once. */
function endSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });
}
