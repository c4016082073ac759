import { parseKmsArn } from "../../kms/aws-arn.js";
import { unusable } from "./text.js";

/** What is behind `aws-kms:`, the ARN of a key or of an alias. */
export function readAwsKmsReference(text: string): { keyId: string } {
  const key = parseKmsArn(text);
  if (key) return { keyId: key.arn };
  throw unusable(
    "it must be aws-kms:arn:aws:kms:<region>:<account>:key/<id>, or the same with alias/<name> at its end",
  );
}
