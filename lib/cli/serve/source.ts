import { AwsHmacError, CredentialsError } from "../../core/errors.js";
import type { TemporaryCredentials } from "../../credentials/refresh-ahead.js";
import { isoTime } from "../credential-json.js";
import { exitCodeOf, exitCodes } from "../failure.js";
import { failed, type Reply } from "./server.js";

/** Credentials as container and instance endpoints give them; who does not know `AccountId` passes it over. */
export interface ServedCredentials {
  AccessKeyId: string;
  SecretAccessKey: string;
  Token: string;
  Expiration: string;
  AccountId?: string;
}

/** Gives the credentials that are to be served. */
export type Source = () => Promise<TemporaryCredentials>;

/**
 * The credentials of `source` in an answer; where there are none, why: 403 where something was refused, 503 where the same may
 * succeed later, else 500. SDKs ask again after the last two.
 */
export async function replyOf(
  source: Source,
  form: (credentials: ServedCredentials) => object,
): Promise<Reply> {
  try {
    const { accessKeyId, secretAccessKey, sessionToken, expiration, accountId } = await source();
    const served = {
      ...{ AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: sessionToken },
      ...{ Expiration: isoTime(expiration), ...(accountId && { AccountId: accountId }) },
    };
    return { status: 200, body: form(served) };
  } catch (error) {
    const reason = error instanceof CredentialsError && error.reason;
    const code = reason || (error instanceof AwsHmacError ? error.code : "InternalError");
    return failed(statusOf(error), code, error instanceof Error ? error.message : String(error));
  }
}

function statusOf(error: unknown): number {
  const code = exitCodeOf(error);
  return code === exitCodes.refused || code === exitCodes.unconfirmed
    ? 403
    : code === exitCodes.unavailable
      ? 503
      : 500;
}
