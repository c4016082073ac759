import { createHmac, createSecretKey } from "node:crypto";
import { insecureMemoryKey } from "aws-hmac";
import { message } from "./c-loop.js";
import { compare, load } from "./measure.js";
import type { Part } from "./part.js";
import { printRates } from "./table.js";

/** The key in memory beside node:crypto alone: what a MAC costs besides the device. */
export const memory: Part = async (effort) => {
  const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  await using key = insecureMemoryKey(secret);
  const bare = createSecretKey(Buffer.from(`AWS4${secret}`));
  const comparison = await compare(
    [
      {
        name: "node:crypto createHmac",
        run: (seconds) => load(() => createHmac("sha256", bare).update(message).digest(), 1, seconds),
      },
      { name: "aws-hmac, one at a time", run: (seconds) => load(() => key.mac(message), 1, seconds) },
      { name: "aws-hmac, 64 in flight", run: (seconds) => load(() => key.mac(message), 64, seconds) },
    ],
    effort,
  );
  printRates("Memory: HMAC-SHA256 of 8 bytes", comparison);
};
