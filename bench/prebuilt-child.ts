// A process of its own, as an addon is loaded once in each: opens the TPM key, then measures for as many seconds as it is told.
import process from "node:process";
import { openTpmKey } from "aws-hmac";
import { message } from "./c-loop.js";
import { load } from "./measure.js";

async function main(): Promise<void> {
  const { TPM_TCTI: tcti, TPM_HANDLE: handle, KEY_PASSWORD: password = "" } = process.env;
  await using key = await openTpmKey({ tcti, handle: Number(handle), auth: { password } });
  process.send?.({ mac: Buffer.from(await key.mac(message)).toString("hex") });
  for await (const seconds of messages()) {
    process.send?.({ rate: await load(() => key.mac(message), 64, seconds) });
  }
}

/** What the parent sends, until it lets go. */
async function* messages(): AsyncGenerator<number> {
  for (;;) {
    const next = await new Promise<number | undefined>((resolve) => {
      process.once("message", (seconds) => resolve(Number(seconds)));
      process.once("disconnect", () => resolve(undefined));
    });
    if (next === undefined) return;
    yield next;
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
