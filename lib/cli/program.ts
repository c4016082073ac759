import { readFileSync } from "node:fs";
import path from "node:path";
import { Command } from "commander";
import { benchCommand } from "./commands/bench.js";
import { completionCommand } from "./commands/completion.js";
import { credentialProcessCommand } from "./commands/credential-process.js";
import { doctorCommand } from "./commands/doctor.js";
import { execCommand } from "./commands/exec.js";
import { explainCommand } from "./commands/explain.js";
import { importCommand } from "./commands/import.js";
import { listCommand } from "./commands/list.js";
import { presignCommand } from "./commands/presign.js";
import { removeCommand } from "./commands/remove.js";
import { rotateCommand } from "./commands/rotate.js";
import { serveCommand } from "./commands/serve.js";
import { signCommand } from "./commands/sign.js";

/** The whole command line, made anew: commander keeps what it parsed. */
export function makeProgram(): Command {
  const program = new Command("aws-hmac")
    .description(
      "Sign AWS requests with a secret access key that stays inside a TPM, a PKCS#11 HSM, Vault or a KMS.",
    )
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .configureHelp({ showGlobalOptions: false, helpWidth: 100 })
    .showHelpAfterError("(--help shows the options and examples)")
    .enablePositionalOptions();
  for (const command of [
    importCommand(),
    listCommand(),
    removeCommand(),
    rotateCommand(),
    presignCommand(),
    signCommand(),
    explainCommand(),
    credentialProcessCommand(),
    serveCommand(),
    execCommand(),
    doctorCommand(),
    benchCommand(),
    completionCommand(() => program),
  ]) {
    program.addCommand(command.copyInheritedSettings(program));
  }
  for (const command of [program, ...program.commands]) command.exitOverride();
  return program;
}

function version(): string {
  const file = path.join(__dirname, "..", "..", "package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
