import type { HmacKey } from "../../lib/core/hmac-key.js";
import type { FromAssumeRoleOptions } from "../../lib/credentials/from-assume-role.js";
import { insecureMemoryKey } from "../../lib/keys/memory.js";
import { type Answer, type Received, startHttp } from "./http.js";
import type { Server } from "./process.js";

export const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
export const accessKeyId = "AKIDEXAMPLE";
export const RoleArn = "arn:aws:iam::123456789012:role/reader";
/** When the credentials of `credentialsXml` end. */
export const end = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000);

/** An STS that answers as told, and what a provider needs to ask it. */
export interface ToldSts extends Server {
  endpoint: string;
  requests: Received[];
  key: HmacKey;
  options(more?: Partial<FromAssumeRoleOptions>): FromAssumeRoleOptions;
}

let started: Server[] = [];

export async function stopAllSts(): Promise<void> {
  await Promise.all(started.map((server) => server.stop()));
  started = [];
}

export async function stsThat(answer: (request: Received) => Answer): Promise<ToldSts> {
  const server = await startHttp(answer);
  started.push(server);
  const key = insecureMemoryKey(secret);
  const options = (more: Partial<FromAssumeRoleOptions> = {}): FromAssumeRoleOptions => ({
    ...{ key, accessKeyId, params: { RoleArn } },
    clientConfig: { region: "eu-west-1", endpoint: server.endpoint, maxAttempts: 1 },
    ...more,
  });
  return { ...server, key, options };
}

/** Whom each action's credentials are for, in its answer. */
const users: Record<string, string> = {
  AssumeRole:
    "<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/reader/me</Arn></AssumedRoleUser>",
  GetFederationToken:
    "<FederatedUser><Arn>arn:aws:sts::123456789012:federated-user/somebody</Arn></FederatedUser>",
};

export function credentialsXml(
  action: string,
  expiration = end.toISOString(),
  { accessKeyId: id, secretAccessKey, sessionToken } = {
    ...{ accessKeyId: "ASIATEMPORARY", secretAccessKey: "temporary", sessionToken: "token" },
  },
): NonNullable<Answer> {
  const body = `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result><Credentials>
<AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${sessionToken}</SessionToken>
<Expiration>${expiration}</Expiration></Credentials>${users[action] ?? ""}</${action}Result></${action}Response>`;
  return { status: 200, body };
}

/** The form that an STS call is. */
export const parameters = (request: Received | undefined): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(request?.body));

export function errorXml(status: number, code: string, message = "details"): NonNullable<Answer> {
  const body = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`;
  return { status, body };
}
