import { checkPolicy } from "./check.js";
import { emptyDigest, extend } from "./digest.js";
import type { TpmPolicy } from "./policy.js";

/**
 * The digest of a policy, which a new key gets as its authPolicy: what `tpm2_policy…` in a trial session give.
 *
 * @returns 32 bytes, SHA-256
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export async function policyDigest(policy: TpmPolicy): Promise<Buffer> {
  return extend(emptyDigest, checkPolicy(policy));
}
