import { createHmac, randomBytes } from "node:crypto";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import { secretAccessKey } from "./backends.js";

const inFlight = 256;

/** What became of 256 calls at once: how many gave the right MAC, and the codes of the others' errors. */
export async function flood(key: Pick<HmacKey, "mac">): Promise<{ right: number; codes: string[] }> {
  const messages = Array.from({ length: inFlight }, () => randomBytes(8));
  const outcomes = await Promise.allSettled(messages.map((message) => key.mac(message)));
  let right = 0;
  const codes = new Set<string>();
  outcomes.forEach((outcome, i) => {
    const expected = createHmac("sha256", `AWS4${secretAccessKey}`)
      .update(messages[i] as Buffer)
      .digest();
    if (outcome.status === "rejected") codes.add(outcome.reason.code ?? String(outcome.reason));
    else if (expected.equals(outcome.value)) right++;
    else codes.add("WRONG ANSWER");
  });
  return { right, codes: [...codes] };
}

/** When nothing went wrong. */
export const allRight = { right: inFlight, codes: [] };
