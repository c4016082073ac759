import type { HmacKey } from "../core/hmac-key.js";
import { fromAssumeRole } from "../credentials/from-assume-role.js";
import { insecureMemoryKey } from "../keys/memory.js";
import { type KeyFlags, openKeyOf } from "./key-options.js";
import type { Settings } from "./settings.js";

/** Who signs: the key's own user, or a role that it assumed. */
export interface SigningIdentity {
  key: HmacKey;
  accessKeyId: string;
  sessionToken?: string;
  region: string;
}

/**
 * Opens the key that the settings name. Where they name a role, its temporary credentials sign, for which STS is asked; the key
 * is closed then. The caller closes `key`.
 */
export async function openIdentity(flags: KeyFlags, settings: Settings): Promise<SigningIdentity> {
  const [accessKeyId, region] = [await settings.require("accessKeyId"), await settings.require("region")];
  const roleArn = await settings.find("roleArn");
  const key = await openKeyOf(flags, settings);
  if (!roleArn) return { key, accessKeyId, region };
  try {
    const { profile } = flags;
    const clientConfig = { region, ...(profile !== undefined && { profile }) };
    const provide = fromAssumeRole({ key, accessKeyId, params: { RoleArn: roleArn }, clientConfig });
    const temporary = await provide();
    return {
      ...{ key: insecureMemoryKey(temporary.secretAccessKey), accessKeyId: temporary.accessKeyId },
      ...{ sessionToken: temporary.sessionToken, region },
    };
  } finally {
    await key.close();
  }
}
