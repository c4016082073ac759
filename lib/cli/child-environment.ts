import { loadSharedConfigFiles } from "@smithy/core/config";
import { say } from "./output.js";

/** SDKs look at these before they look at a container's endpoint, or to find another one. */
const first = [
  ...["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"],
  ...["AWS_CREDENTIAL_EXPIRATION", "AWS_ACCOUNT_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"],
  ...["AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE"],
  ...["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"],
];
/** Lines of a profile that say where credentials come from. */
const sources = [
  ...["aws_access_key_id", "role_arn", "credential_process", "web_identity_token_file", "login_session"],
  ...["sso_session", "sso_start_url", "sso_account_id"],
];

/**
 * The environment in which AWS tools take the credentials of `variables` and no other: without what they would take first. Where
 * the default profile of a configuration file has credentials of its own, that file is hidden, and it is said on stderr.
 *
 * @param secrets names of variables that the command need not see
 */
export async function childEnvironment(
  env: NodeJS.ProcessEnv,
  variables: Record<string, string>,
  { region, secrets }: { region: string; secrets: readonly (string | undefined)[] },
): Promise<NodeJS.ProcessEnv> {
  const hidden = new Set([...first, ...secrets]);
  const kept = Object.entries(env).filter(([name]) => !hidden.has(name) && !name.startsWith("AWS_HMAC_"));
  const { configFile, credentialsFile } = await loadSharedConfigFiles();
  return {
    ...Object.fromEntries(kept),
    ...(hasCredentials(configFile.default) && hide("AWS_CONFIG_FILE", "~/.aws/config")),
    ...(hasCredentials(credentialsFile.default) && hide("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")),
    ...{ AWS_REGION: region, AWS_DEFAULT_REGION: region },
    ...variables,
  };
}

function hasCredentials(profile: Record<string, string | undefined> = {}): boolean {
  return sources.some((line) => profile[line]);
}

function hide(variable: string, usual: string): Record<string, string> {
  const file = process.env[variable] ?? usual;
  say(`the command does not see ${file}: its default profile has credentials, which would be taken first`);
  return { [variable]: "/dev/null" };
}
