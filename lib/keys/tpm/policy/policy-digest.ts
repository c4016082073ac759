import { withConnection } from "../../../binding/with-connection.js";
import { type TpmDevice, tctiOf, tpmBounds } from "../options.js";
import { checkPolicy } from "./check.js";
import { emptyDigest, extend } from "./digest.js";
import type { TpmPolicy } from "./policy.js";
import { resolvePolicy } from "./resolve.js";
import type { Step } from "./steps.js";

/**
 * The digest of a policy, which a new key gets as its authPolicy: what `tpm2_policy…` in a trial session give.
 *
 * @param tpm the TPM that is asked for what the policy leaves to it: PCRs without `digest`, objects without `name`. Without it
 *   everything is computed here, and such a policy is refused
 * @returns 32 bytes, SHA-256
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @throws TpmError what `openTpmKey` throws for the TPM
 */
export async function policyDigest(policy: TpmPolicy, tpm?: TpmDevice): Promise<Buffer> {
  const steps = checkPolicy(policy);
  return extend(emptyDigest, tpm === undefined ? steps : await resolvedBy(tpm, steps));
}

function resolvedBy(tpm: TpmDevice, steps: Step[]): Promise<Step[]> {
  const bounds = tpmBounds(tpm);
  const place = { tcti: tctiOf(tpm), timeout: bounds.command };
  return withConnection(bounds.close, (connection) => resolvePolicy(steps, connection, place, bounds.call));
}
