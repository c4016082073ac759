import type { HmacKey } from "../core/hmac-key.js";
import { insecureMemoryKey } from "../keys/memory.js";
import { openKeyOf } from "./key-options.js";
import type { Settings } from "./settings.js";
import type { RoleFlags } from "./sts-options.js";
import { providerOf, stsRequest } from "./sts-request.js";

/** Who signs: the key's own user, with an MFA device or without, or a role that it assumed. */
export interface SigningIdentity {
  key: HmacKey;
  accessKeyId: string;
  sessionToken?: string;
  region: string;
}

/**
 * Opens the key that the settings name. Where they name a role or an MFA device, temporary credentials sign, for which STS is
 * asked; the key is closed then. The caller closes `key`.
 */
export async function openIdentity(flags: RoleFlags, settings: Settings): Promise<SigningIdentity> {
  const request = await stsRequest(flags, settings);
  const { accessKeyId, region, roles, params } = request;
  const key = await openKeyOf(flags, settings);
  if (roles.length === 0 && params.SerialNumber === undefined) return { key, accessKeyId, region };
  try {
    const temporary = await providerOf(request, key)();
    return {
      ...{ key: insecureMemoryKey(temporary.secretAccessKey), accessKeyId: temporary.accessKeyId },
      ...{ sessionToken: temporary.sessionToken, region },
    };
  } finally {
    await key.close();
  }
}
