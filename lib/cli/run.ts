import process from "node:process";
import { CommanderError } from "commander";
import { exitCodeOf, exitCodes, told } from "./failure.js";
import { withoutGoSpelling } from "./peer-flags.js";
import { makeProgram } from "./program.js";

/**
 * Runs the command line.
 *
 * @param args as after the program's name
 * @returns the exit code, one of {@link exitCodes} or that of the command that `exec` ran
 */
export async function run(args: readonly string[]): Promise<number> {
  // Whoever reads the output may have had enough, as `head` has: that is no failure, and nothing more is to be done.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.done);
    throw error;
  });
  // Where nobody reads messages, the work that they are about goes on.
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  const program = makeProgram();
  try {
    const [name] = args;
    await program.parseAsync(name === "credential-process" ? withoutGoSpelling(args) : args, {
      from: "user",
    });
    return Number(process.exitCode ?? exitCodes.done);
  } catch (error) {
    // commander has said it already
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    process.stderr.write(`${told(error)}\n`);
    return exitCodeOf(error);
  }
}
