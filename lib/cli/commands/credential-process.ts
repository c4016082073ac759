import process from "node:process";
import { Command } from "commander";
import { CredentialCache } from "../credential-cache.js";
import { type ProcessCredentials, processCredentials } from "../credential-json.js";
import { openKeyOf } from "../key-options.js";
import { writeJson } from "../output.js";
import { type PeerFlags, readPeerFlags, withPeerOptions } from "../peer-flags.js";
import { Settings } from "../settings.js";
import { type StsFlags, withStsOptions } from "../sts-options.js";
import { providerOf, type StsRequest, stsRequest } from "../sts-request.js";

interface Flags extends StsFlags, PeerFlags {
  cache?: string | true;
}

const examples = `
Examples:
  aws-hmac credential-process -k tpm:0x81008001 --role-arn arn:aws:iam::123456789012:role/reader
  aws-hmac credential-process --profile signer --cache

In ~/.aws/config:
  [profile reader]
  credential_process = aws-hmac credential-process --profile signer --role-arn arn:aws:iam::123456789012:role/reader

The flags of aws-tpm-process-credential and aws-pkcs-process-credential are understood as well.`;

/** `aws-hmac credential-process`: temporary credentials for AWS tools and SDKs. */
export function credentialProcessCommand(): Command {
  return withPeerOptions(withStsOptions(new Command("credential-process")))
    .summary("print temporary credentials for AWS tools, as their credential_process")
    .description(
      "Print temporary credentials from STS as JSON, as AWS tools want them of a credential_process: a role's, or without a role the user's own.",
    )
    .option("--cache [file]", "keep the credentials in a file (mode 0600) until shortly before they end")
    .addHelpText("after", examples)
    .action((flags: Flags) => credentialProcess(flags));
}

async function credentialProcess(given: Flags): Promise<void> {
  const peer = await readPeerFlags(given, new Settings(given));
  const flags = peer?.flags ?? given;
  const settings = new Settings(flags);
  const request = await stsRequest(flags, settings);

  async function fetch(): Promise<ProcessCredentials> {
    const key = await openKeyOf(flags, settings, peer?.open);
    try {
      return processCredentials(await providerOf(request, key)());
    } finally {
      await key.close();
    }
  }

  const { cache } = given;
  if (cache === undefined) await writeJson(await fetch());
  else await writeJson(await cacheOf(cache, request).get(fetch, flags.timeout));
}

/** What is in no request but decides which STS is asked belongs to it as well. The key's reference does not: it may hold a PIN. */
function cacheOf(
  cache: string | true,
  { accessKeyId, region, endpoint, profile, roles, params }: StsRequest,
): CredentialCache {
  const lasting = [params, ...roles].map(({ TokenCode: _, ...rest }) => rest);
  const { AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, AWS_PROFILE } = process.env;
  const place = [region, endpoint, profile, AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, AWS_PROFILE];
  return new CredentialCache(cache === true ? undefined : cache, [accessKeyId, lasting, place]);
}
