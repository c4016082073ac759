import process from "node:process";
import { Command } from "commander";
import { runCommand } from "../child.js";
import { childEnvironment } from "../child-environment.js";
import { containerAnswers, containerVariables, newToken } from "../serve/container.js";
import { startEndpoint } from "../serve/server.js";
import { openSession } from "../serve/session.js";
import { Settings } from "../settings.js";
import { type StsFlags, withStsOptions } from "../sts-options.js";

const examples = `
Examples:
  aws-hmac exec --profile signer -- aws s3 ls
  aws-hmac exec -k tpm:0x81008001 --role-arn arn:aws:iam::123456789012:role/reader -- node server.mjs`;

/** `aws-hmac exec`: a command that gets its credentials from an endpoint of ours, as long as it runs. */
export function execCommand(): Command {
  return withStsOptions(new Command("exec"))
    .summary("run a command that gets temporary credentials")
    .description(
      "Run a command that AWS tools and SDKs in it get temporary credentials for, from an endpoint that is there as long as it runs. The exit code is that of the command.",
    )
    .argument("<command>", "the command")
    .argument("[args...]", "its arguments")
    .passThroughOptions()
    .addHelpText("after", examples)
    .action((command: string, args: string[], flags: StsFlags) => exec(command, args, flags));
}

async function exec(command: string, args: string[], flags: StsFlags): Promise<void> {
  const settings = new Settings(flags);
  await using session = await openSession(flags, settings, { asksAgain: false });
  const { instance, source } = session;
  const token = newToken();
  await using endpoint = await startEndpoint({ host: "127.0.0.1", port: 0 }, containerAnswers(token, source));
  const env = await childEnvironment(process.env, containerVariables(endpoint.url, { token }), {
    region: instance.region,
    secrets: [flags.pinEnv, flags.passwordEnv],
  });
  process.exitCode = await runCommand(command, args, env);
}
