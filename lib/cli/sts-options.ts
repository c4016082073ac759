import { type Command, InvalidArgumentError } from "commander";
import { type KeyFlags, withSigningOptions } from "./key-options.js";
import { wholeNumber } from "./numbers.js";

/** What the flags of {@link withRoleOptions} say; `roleArn` has blanks between roles. */
export interface RoleFlags extends KeyFlags {
  tokenCode?: string;
}

/** What the flags of {@link withStsOptions} say. */
export interface StsFlags extends RoleFlags {
  policyFile?: string;
  policyArn?: string[];
  tag?: Tag[];
  sourceIdentity?: string;
  stsEndpoint?: string;
}

interface Tag {
  Key: string;
  Value: string;
}

/** Adds the flags that say as whom to act, and what proves it. */
export function withRoleOptions(command: Command): Command {
  return withSigningOptions(command)
    .option(
      "--role-arn <arn>",
      "the role to assume; repeated, each is assumed by the one before",
      (arn, before?: string) => (before ? `${before} ${arn}` : arn),
    )
    .option("--session-name <name>", "the name of the role's session; made up unless given")
    .option("--external-id <id>", "what the (last) role's trust policy wants of third parties")
    .option("--mfa-serial <arn>", "the MFA device; its code is asked for at the terminal")
    .option("--token-code <digits>", "the code that the MFA device shows now, good for one call");
}

/** Adds the flags that say for whom temporary credentials are, and how STS is asked for them. */
export function withStsOptions(command: Command): Command {
  return withRoleOptions(command)
    .option(
      "-d, --duration <seconds>",
      "how long the credentials are good; STS says unless given",
      wholeNumber,
    )
    .option("--policy-file <path>", "a file with a policy (JSON) that leaves the session fewer rights")
    .option("--policy-arn <arn>", "a managed policy that does; may be repeated", listed)
    .option("--tag <key=value>", "a tag of the session; may be repeated", tagged)
    .option("--source-identity <name>", "who stands behind the session, for CloudTrail")
    .option("--sts-endpoint <url>", "STS elsewhere; AWS_ENDPOINT_URL_STS says the same");
}

function listed(text: string, before: string[] = []): string[] {
  return [...before, text];
}

function tagged(text: string, before: Tag[] = []): Tag[] {
  const [, Key, Value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (Key === undefined || Value === undefined) throw new InvalidArgumentError("It must be key=value.");
  return [...before, { Key, Value }];
}
