import { insecureMemoryKey } from "../../lib/keys/memory.js";
import { KeyCache, type KeyCacheMode } from "../../lib/sigv4/key-cache.js";
import { type CountedKey, counted } from "./counted.js";
import { plainSignature } from "./derived-keys.js";
import { ManualClock } from "./manual-clock.js";

export const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
export const scope = { date: "20261123", region: "eu-central-1", service: "s3" };
/** The signature of `sign` under `scope`, from the plain secret. */
export const expected = plainSignature(secret, Object.values(scope), "string to sign");
const hashedRequest = "0123456789abcdef".repeat(4);
/** The signature of `signNow` under `scope`, from the plain secret. */
export const expectedNow = plainSignature(secret, Object.values(scope), `head ${hashedRequest}`);

/** A signature by the cache, with parts of the scope changed. */
export async function sign(cache: KeyCache, change: Partial<typeof scope> = {}): Promise<string> {
  return (await cache.sign({ ...scope, ...change }, Buffer.from("string to sign"))).toString("hex");
}

/** A signature at once, if the key is there. */
export function signNow(cache: KeyCache, change: Partial<typeof scope> = {}): string | undefined {
  return cache.signNow({ ...scope, ...change }, "head ", hashedRequest);
}

/** A cache of a counting key, at noon. */
export function openCache(
  mode?: KeyCacheMode,
  key = counted(insecureMemoryKey(secret)),
): { key: CountedKey; cache: KeyCache; clock: ManualClock } {
  const clock = new ManualClock("2026-11-23T12:00:00Z");
  return { key, clock, cache: new KeyCache(key, mode, clock) };
}
