import { openKeyOf } from "../key-options.js";
import type { Settings } from "../settings.js";
import type { StsFlags } from "../sts-options.js";
import { providerOf, stsRequest } from "../sts-request.js";
import type { Instance } from "./imds.js";
import type { Source } from "./source.js";

/** The key, open, and credentials that have come once: what is wrong with the settings has shown. */
export interface Session extends AsyncDisposable {
  instance: Instance;
  source: Source;
}

/**
 * Opens the key and gets the first credentials, so that nobody who asks for them has to wait. The caller disposes of it, which closes
 * the key.
 */
export async function openSession(
  flags: StsFlags,
  settings: Settings,
  how: { asksAgain?: boolean } = {},
): Promise<Session> {
  const request = await stsRequest(flags, settings);
  const key = await openKeyOf(flags, settings);
  try {
    const source = providerOf(request, key, how);
    await source();
    const role = request.roles.at(-1)?.RoleArn.split("/").at(-1) ?? "aws-hmac";
    return { instance: { region: request.region, role }, source, [Symbol.asyncDispose]: () => key.close() };
  } catch (error) {
    await key.close();
    throw error;
  }
}
