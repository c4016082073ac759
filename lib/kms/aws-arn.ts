/** A key of AWS KMS, by its ARN. */
export interface KmsArn {
  /** The whole ARN: what calls take as KeyId. */
  arn: string;
  region: string;
  /** Whether it names an alias, which answers replace by the key's own ARN. */
  alias: boolean;
}

const pattern =
  /^arn:aws[a-z-]*:kms:([a-z]{2}(?:-[a-z]+)+-\d+):\d{12}:(?:key\/[\dA-Za-z-]{1,128}|(alias)\/[\w/-]{1,250})$/;

/** Reads an ARN of a key (`key/…`, `key/mrk-…`) or of an alias, in any partition; undefined where it is none. */
export function parseKmsArn(text: string): KmsArn | undefined {
  const [arn, region, alias] = pattern.exec(text) ?? [];
  if (arn === undefined || region === undefined) return undefined;
  return { arn, region, alias: alias !== undefined };
}
