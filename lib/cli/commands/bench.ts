import process from "node:process";
import { Command } from "commander";
import { invalid } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import { parseKeyReference } from "../../keys/reference.js";
import { HmacSigner } from "../../sigv4/signer.js";
import { type Measured, measure } from "../bench/measure.js";
import { figures, report } from "../bench/report.js";
import { CommandFailure, exitCodes, Unconfirmed } from "../failure.js";
import { type KeyFlags, openReference, withKeyOptions } from "../key-options.js";
import { wholeNumber } from "../numbers.js";
import { say, write, writeJson } from "../output.js";
import { Progress } from "../progress.js";
import { Settings } from "../settings.js";
import { confirm } from "../terminal.js";

interface Flags extends KeyFlags {
  seconds: number;
  concurrency: number;
  yes?: boolean;
  json?: boolean;
}

const examples = `
Examples:
  aws-hmac bench -k tpm:0x81008001
  aws-hmac bench --profile signer --seconds 30 --concurrency 8 --json`;

/** As long as SigV4's day, and none: its MAC is of no use to anybody. */
const message = Buffer.from("no a day");
const mostConcurrent = 256;
const longest = 86_400;

/** `aws-hmac bench`: MACs of the device and signatures a second. */
export function benchCommand(): Command {
  return withKeyOptions(new Command("bench"))
    .summary("measure MACs and signatures a second")
    .description(
      "Measure the MACs that the device makes a second, and the signatures of requests to S3, for which it is asked once a day, and how long " +
        "each took. Ctrl-C ends it with what there is.",
    )
    .option("--seconds <seconds>", "how long each is measured", wholeNumber, 5)
    .option("--concurrency <calls>", "how many calls are under way at a time: 1 to 256", wholeNumber, 1)
    .option("--yes", "do not ask before AWS KMS is, which bills each MAC")
    .option("--json", "print JSON; times are in milliseconds")
    .addHelpText("after", examples)
    .action((flags: Flags) => bench(flags));
}

async function bench(flags: Flags): Promise<void> {
  const { seconds, concurrency, json } = flags;
  if (seconds < 1 || seconds > longest) throw invalid(`--seconds must be 1 to ${longest}`);
  if (concurrency < 1 || concurrency > mostConcurrent) {
    throw invalid(`--concurrency must be 1 to ${mostConcurrent}`);
  }
  const reference = await new Settings(flags).require("key");
  const { backend } = parseKeyReference(reference);
  if (backend === "aws-kms" && !flags.yes) {
    const isWanted = await confirm(`AWS bills each MAC. Ask it for ${seconds} s?`, "--yes");
    if (!isWanted) throw new Unconfirmed("nothing was measured");
  }
  const results = await measured(reference, flags);
  if (json) {
    const all = results.map(([name, result]) => ({ name, ...figures(result) }));
    await writeJson({ backend, concurrency, results: all });
  } else {
    for (const [name, result] of results) await write(report(`${name}, ${concurrency} at a time`, result));
  }
}

/** What was measured, until the end or an interruption. */
async function measured(reference: string, flags: Flags): Promise<[name: "MACs" | "signatures", Measured][]> {
  const { seconds, concurrency } = flags;
  const key = await openReference(reference, flags);
  const interruption = new AbortController();
  const stop = interruption.signal;
  const interrupt = (): void => interruption.abort(new Error("interrupted"));
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const results: [name: "MACs" | "signatures", Measured][] = [];
  const run = async (name: "MACs" | "signatures", call: () => Promise<unknown>): Promise<void> => {
    await call(); // sessions and connections are made at the first
    say(`measuring ${name} for ${seconds} s`);
    const begin = performance.now();
    using _ = new Progress(() => `${Math.round((performance.now() - begin) / 1000)} of ${seconds} s`);
    const result = await measure(call, { seconds, concurrency, stop });
    if (result.latencies.count > 0) results.push([name, result]);
  };
  try {
    await using signer = new HmacSigner({
      key,
      accessKeyId: "AKIABENCH",
      region: "us-east-1",
      service: "s3",
    });
    const request = {
      method: "GET",
      hostname: "bench.s3.us-east-1.amazonaws.com",
      path: "/object",
      headers: {},
    };
    await run("MACs", async () => wipe(await key.mac(message, { signal: stop })));
    if (!stop.aborted) await run("signatures", () => signer.sign(request));
  } catch (error) {
    if (error !== stop.reason) throw error;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    await key.close();
  }
  if (results.length === 0) {
    throw new CommandFailure("interrupted before anything was measured", exitCodes.failed);
  }
  return results;
}
