import type { Connection } from "../../../binding/connection.js";
import { AwsHmacError } from "../../../core/errors.js";
import type { PolicyWay } from "./native.js";
import { hasBranches, type PolicyTpm, resolvePolicy } from "./resolve.js";

/**
 * The ways to satisfy a policy as `nativePolicy` takes them. The TPM takes the values of the moment by itself, but for the
 * digests of branches and of what was signed.
 *
 * @param call milliseconds for all of it
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for what the TPM does not have; of several ways such a one is passed over
 */
export async function resolveWays(
  ways: readonly PolicyWay[],
  connection: Connection,
  place: PolicyTpm,
  call: number,
): Promise<PolicyWay[]> {
  const resolved: PolicyWay[] = [];
  for (const way of ways) {
    if (way.unsupported !== undefined) {
      resolved.push({ ...way, steps: [] });
      continue;
    }
    try {
      const steps = hasBranches(way.steps)
        ? await resolvePolicy(way.steps, connection, place, call)
        : way.steps;
      resolved.push({ ...way, steps });
    } catch (error) {
      const isInvalid = error instanceof AwsHmacError && error.code === "ERR_INVALID_ARGUMENT";
      if (ways.length === 1 || !isInvalid) throw error;
      resolved.push({ ...way, steps: [], unsupported: error.message });
    }
  }
  return resolved;
}
