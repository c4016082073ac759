import type { Command, Option } from "commander";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** The script that completes the sub-commands and options of `program` in a shell. */
export function scriptFor(shell: Shell, program: Command): string {
  switch (shell) {
    case "bash":
      return bash(program);
    case "zsh":
      return `#compdef ${program.name()}\nautoload -U +X bashcompinit && bashcompinit\n${bash(program)}`;
    case "fish":
      return fish(program);
  }
}

function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function commandsOf(program: Command): readonly Command[] {
  return program.createHelp().visibleCommands(program);
}

/** Options that take a value leave the next word to the shell: a file, more often than not. */
function bash(program: Command): string {
  const words = (command: Command): string =>
    optionsOf(command)
      .flatMap(({ short, long }) => [short, long])
      .filter(Boolean)
      .join(" ");
  const cases = commandsOf(program).map((command) => `    ${command.name()}) words="${words(command)}" ;;`);
  const commands = commandsOf(program).map((command) => command.name());
  const name = program.name();
  const body = name.replaceAll("-", "_");
  return `_${body}() {
  local words current="\${COMP_WORDS[COMP_CWORD]}"
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) words="" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.join(" ")} ${words(program)}"
  elif [[ "$current" != -* ]]; then
    words=""
  fi
  COMPREPLY=()
  [ -z "$words" ] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _${body} ${name}
`;
}

function fish(program: Command): string {
  const name = program.name();
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = [`complete -c ${name} -n __fish_use_subcommand -f`];
  for (const command of commandsOf(program)) {
    lines.push(
      `complete -c ${name} -n __fish_use_subcommand -a ${command.name()} -d ${quoted(command.summary())}`,
    );
    for (const { short, long, description, required } of optionsOf(command)) {
      const flags = [short && `-s ${short.slice(1)}`, long && `-l ${long.slice(2)}`, required && "-r"];
      lines.push(
        `complete -c ${name} -n ${quoted(`__fish_seen_subcommand_from ${command.name()}`)} ${flags.filter(Boolean).join(" ")} -d ${quoted(description)}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}
