import { readFileSync } from "node:fs";
import { constants } from "node:os";
import process from "node:process";
import { signalSenders } from "../binding/addon.js";

/** A terminal sends these to the whole group in its foreground. */
const ofTerminals = ["SIGINT", "SIGQUIT", "SIGHUP"] as const;
type OfTerminals = (typeof ofTerminals)[number];

/**
 * How often a signal that came here is to be passed on to a command in the same process group, so that it has it once. What a
 * terminal sends (Ctrl-C), the command has by itself; what a process sends here, it has not (kill(1)). Without the addon
 * nobody tells who sent: while a terminal could have, nothing is passed on.
 */
export class SignalCopies {
  readonly #senders = signalSenders();
  /** Signals of the terminal that the parent process has not sent on here yet. */
  readonly #open: Record<OfTerminals, number> = { SIGINT: 0, SIGQUIT: 0, SIGHUP: 0 };

  /** Begins; listeners of these signals must be there. */
  note(): void {
    for (const signal of ofTerminals) this.#senders?.noteSenders(constants.signals[signal]);
  }

  /** Of a signal that has come. */
  due(signal: NodeJS.Signals): number {
    if (!isOfTerminals(signal)) return 1;
    const senders = this.#senders?.takeSenders(constants.signals[signal]) ?? [];
    return isInForeground() ? senders.filter((sender) => this.#isDue(signal, sender)).length : 1;
  }

  #isDue(signal: OfTerminals, sender: number): boolean {
    if (sender === 0) {
      this.#open[signal]++;
      return false;
    }
    if (sender !== process.ppid) return true;
    if (signal === "SIGHUP") return false; // a shell that hangs up sends it to its whole jobs
    if (this.#open[signal] === 0) return true;
    this.#open[signal]--; // npx sends on here what the terminal has sent to all
    return false;
  }
}

function isOfTerminals(signal: NodeJS.Signals): signal is OfTerminals {
  return ofTerminals.some((one) => one === signal);
}

/** Whether this process, and the command with it, is what a terminal sends its signals to (proc(5): pgrp is tpgid). */
function isInForeground(): boolean {
  try {
    const fields = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return fields[2] === fields[5];
  } catch {
    return process.stdin.isTTY === true; // no Linux
  }
}
