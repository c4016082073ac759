import type { HmacKey } from "../core/hmac-key.js";
import { invalid, type Secret } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { openDevice } from "./open-device.js";
import { passwordBytes, type TpmDevice, tctiOf, tpmBounds } from "./tpm/options.js";
import { parentPasswords } from "./tpm/parent.js";
import { checkPolicy } from "./tpm/policy/check.js";
import { type NativePolicy, nativePolicy, requireSatisfiable } from "./tpm/policy/native.js";
import type { TpmPolicy } from "./tpm/policy/policy.js";
import { resolveWays } from "./tpm/policy/ways.js";
import { saltKeyOf, type TpmSaltOptions } from "./tpm/salt-key.js";
import { locateTpmKey, type TpmKeySource } from "./tpm/source.js";

/** How the use of a TPM key is authorised. */
export interface TpmAuth {
  /** The key's password: at most 32 bytes (a string as UTF-8). */
  password: Secret;
  /** `hmac` (default) proves the password without sending it; `plain` sends it, which saves an HMAC session. */
  mode?: "hmac" | "plain" | undefined;
}

/** Which key in a TPM, and how to use it. */
export interface TpmKeyOptions extends TpmDevice, TpmKeySource, TpmSaltOptions {
  /** Needed for a key that has a password. */
  auth?: TpmAuth | undefined;
  /**
   * The policy that the key was made with, which is satisfied directly before each use. Needed for a key that its password alone does
   * not open (without userWithAuth), unless its PEM says the policy; what is given here counts before that.
   */
  policy?: TpmPolicy | undefined;
  /**
   * `session` (default): messages and MACs cross the bus encrypted (AES-128-CFB, in a salted session). `none`: in
   * clear, which is several times faster; whoever reads the bus then learns each day's SigV4 key.
   */
  encryption?: "session" | "none" | undefined;
}

/**
 * Opens an HMAC-SHA256 key in a TPM 2.0: a keyedHash object with scheme HMAC and SHA-256 that may sign. It signs with
 * TPM2_HMAC, or with an HMAC sequence where the message is longer than the TPM's buffer (mostly 1024 bytes).
 *
 * Until `close()` the TPM holds one session and, unless it is persistent, the loaded key. What a reset of the TPM or a
 * broken connection takes is set up once more before a MAC rejects (a context file's key excepted); the passwords are
 * kept for that, outside of V8's heap, and wiped on `close()`. A wrong password of the parent or its hierarchy shows
 * here, one of the key at the first MAC. This key never sends it again, since the TPM counts it and locks: open the key
 * anew with the right one.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PEM_INVALID`, `ERR_TPM_FILE_INVALID`, `ERR_TIMEOUT`,
 *   `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`; `ERR_KEY_NOT_FOUND` (also of a file that cannot be read), `ERR_KEY_UNSUITABLE`, `ERR_TPM_POLICY` of a key
 *   that wants a policy, or another one than `policy`; `ERR_POLICY_UNSATISFIED` of a policy that using the key never satisfies. At a
 *   MAC it is a TpmError that names each branch and why it cannot be satisfied now
 * @throws TpmError `ERR_TPM_DEVICE_NOT_FOUND`, `ERR_TPM_DEVICE_PERMISSION`, `ERR_TPM_DEVICE_BUSY`,
 *   `ERR_TPM_NOT_A_DEVICE`, `ERR_TPM_TCTI`, `ERR_TPM_CONNECTION`, `ERR_TPM_PARENT` of a PEM or blobs of another TPM
 *   or parent, `ERR_TPM_CONTEXT` of a context file from before a reset, `ERR_TPM_SALT_KEY` of a salt key that is not the one given,
 *   `ERR_TPM_AUTH`, `ERR_TPM_LOCKOUT`, `ERR_TPM_BUSY`, `ERR_TPM_MEMORY`, `ERR_TPM_STATE`, `ERR_TPM`
 * @example
 * const key = await openTpmKey({ handle: 0x81008001, auth: { password: await readFile("/run/password") } });
 */
export async function openTpmKey(options: TpmKeyOptions): Promise<HmacKey> {
  const bounds = tpmBounds(options);
  const tcti = tctiOf(options);
  const encrypt = oneOf("encryption", options.encryption ?? "session", ["session", "none"]) === "session";
  const mode = oneOf("auth.mode", options.auth?.mode ?? "hmac", ["hmac", "plain"]);
  const given = options.policy === undefined ? undefined : checkPolicy(options.policy);
  const password = passwordBytes(options.auth);
  let above: ReturnType<typeof parentPasswords> | undefined;
  let saltKey: ReturnType<typeof saltKeyOf>;
  let policy: NativePolicy | undefined;
  try {
    above = parentPasswords(options.parentAuth);
    saltKey = saltKeyOf(options.saltKey);
    if (saltKey && !encrypt) throw invalid('saltKey is for encryption: "session"');
    const located = await locateTpmKey(options);
    const ways = given ? [{ at: "policy", steps: given }] : located.policies;
    const native = {
      ...located.place,
      tcti,
      timeout: bounds.command,
      password,
      parentPassword: above.password,
      hierarchyPassword: above.hierarchyPassword,
      passwordInClear: mode === "plain",
      encrypt,
      ...(saltKey && { saltKey }),
    };
    return await openDevice("tpm", bounds, async (connection) => {
      if (ways) {
        const place = { tcti, timeout: bounds.command };
        policy = nativePolicy(
          await resolveWays(ways, connection, place, bounds.call),
          options.auth !== undefined,
        );
        requireSatisfiable(policy.policy);
      }
      return connection.openTpm(
        { ...native, ...(policy && { policy: policy.policy }) },
        { timeout: bounds.call },
      );
    });
  } finally {
    policy?.wipe();
    wipe(password, above?.password, above?.hierarchyPassword, saltKey?.hierarchyPassword);
  }
}

function oneOf<T extends string>(option: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw invalid(`${option} must be one of: ${allowed.join(", ")}`);
  return value;
}
