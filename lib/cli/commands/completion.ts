import { Argument, Command } from "commander";
import { type Shell, scriptFor, shells } from "../completion.js";
import { write } from "../output.js";

const examples = `
Examples:
  aws-hmac completion bash > /etc/bash_completion.d/aws-hmac
  source <(aws-hmac completion zsh)
  aws-hmac completion fish > ~/.config/fish/completions/aws-hmac.fish`;

/** `aws-hmac completion`: a script that completes sub-commands and options. */
export function completionCommand(program: () => Command): Command {
  return new Command("completion")
    .summary("print a completion script for a shell")
    .description("Print a script that completes sub-commands and options.")
    .addArgument(new Argument("<shell>", "the shell").choices(shells))
    .addHelpText("after", examples)
    .action((shell: Shell) => write(scriptFor(shell, program())));
}
