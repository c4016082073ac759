import { openKey } from "../../lib/keys/open-key.js";
import { HmacSigner } from "../../lib/sigv4/signer.js";
import type { Moto } from "./moto.js";
import { callQueryApi } from "./query-api.js";

/** moto's IAM, and an administrator's access key. */
export type Iam = Pick<Moto, "endpoint" | "credentials">;

/** The user's access keys and their status, as moto tells an administrator. */
export async function accessKeys(moto: Iam): Promise<Record<string, string>> {
  const list = { Action: "ListAccessKeys", Version: "2010-05-08", UserName: "rotated" };
  const { text } = await callQueryApi(moto.endpoint, "iam", list, moto.credentials);
  const found = text.matchAll(/<AccessKeyId>(\w+)<.*?<Status>(\w+)</gs);
  return Object.fromEntries([...found].map(([, id, status]) => [id, status]));
}

/** What moto answers an administrator's call about the user. */
export async function admin(moto: Iam, parameters: Record<string, string>): Promise<string> {
  const call = { Version: "2010-05-08", UserName: "rotated", ...parameters };
  const { status, text } = await callQueryApi(moto.endpoint, "iam", call, moto.credentials);
  if (status !== 200) throw new Error(`moto, ${parameters.Action}: ${text}`);
  return text;
}

/** A new access key of the user who is to be rotated, who has no other. */
export async function newUserKey(moto: Iam): Promise<{ id: string; secret: Buffer }> {
  await admin(moto, { Action: "CreateUser" }).catch(() => undefined);
  const own = { Action: "PutUserPolicy", PolicyName: "own" };
  const Statement = [{ Effect: "Allow", Action: "iam:*AccessKey*", Resource: "*" }];
  await admin(moto, { ...own, PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }) });
  for (const AccessKeyId of Object.keys(await accessKeys(moto)))
    await admin(moto, { Action: "DeleteAccessKey", AccessKeyId });
  return makeKey(moto);
}

/** A further access key of the user. */
export async function makeKey(moto: Iam): Promise<{ id: string; secret: Buffer }> {
  const text = await admin(moto, { Action: "CreateAccessKey" });
  const [, id = ""] = /<AccessKeyId>(\w+)</.exec(text) ?? [];
  const [, secret = ""] = /<SecretAccessKey>([^<]+)</.exec(text) ?? [];
  return { id, secret: Buffer.from(secret) };
}

/** Whom moto's STS takes the signer for. */
export async function identityOf(
  moto: Iam,
  accessKeyId: string,
  reference: string,
  options = {},
): Promise<string> {
  const key = await openKey(reference, options);
  const signer = new HmacSigner({ key, accessKeyId, region: "us-east-1", service: "sts" });
  try {
    const body = "Action=GetCallerIdentity&Version=2011-06-15";
    const { host, hostname, port } = new URL(moto.endpoint);
    const headers = { host, "content-type": "application/x-www-form-urlencoded" };
    const signed = await signer.sign({
      ...{ method: "POST", protocol: "http:", hostname, port: Number(port), path: "/", headers, body },
    });
    const answer = await fetch(moto.endpoint, { method: "POST", headers: signed.headers, body });
    return /<Arn>([^<]+)</.exec(await answer.text())?.[1] ?? String(answer.status);
  } finally {
    await signer.close();
    await key.close();
  }
}
/** Whom `identityOf` finds. */
export const userArn = "arn:aws:iam::123456789012:user/rotated";
