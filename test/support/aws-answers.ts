export const roleArn = "arn:aws:iam::123456789012:role/demo";
export const sessionSecret = { accessKeyId: "ASIATEMPORARY", secretAccessKey: "temporary/secret" };

/** Temporary credentials as STS and S3 answer with them: `sessionSecret`, good for an hour. */
export function credentialsXml(element: string): string {
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  return (
    `<${element}><AccessKeyId>${sessionSecret.accessKeyId}</AccessKeyId>` +
    `<SecretAccessKey>${sessionSecret.secretAccessKey}</SecretAccessKey>` +
    `<SessionToken>session-token</SessionToken><Expiration>${expiration}</Expiration></${element}>`
  );
}

/** The answer to AssumeRole. */
export function assumeRoleXml(): string {
  const result = `<AssumeRoleResult>${credentialsXml("Credentials")}</AssumeRoleResult>`;
  return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</AssumeRoleResponse>`;
}
