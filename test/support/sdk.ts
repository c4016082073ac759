import { insecureMemoryKey, type SdkIdentity, sdkIdentity } from "../../lib/index.js";
import { type CapturedRequests, judgedAuthorization } from "./captured-requests.js";
import { type CountedKey, counted } from "./counted.js";

export const secret = {
  accessKeyId: "AKIAIOSFODNN7EXAMPLE",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
export const region = "eu-central-1";

/** A key made of `secret` and an identity of it, new for each test. */
export function sdkSuite(): { readonly key: CountedKey; readonly identity: SdkIdentity } {
  const suite = {} as { key: CountedKey; identity: SdkIdentity };
  beforeEach(() => {
    suite.key = counted(insecureMemoryKey(secret.secretAccessKey));
    suite.identity = sdkIdentity({ key: suite.key, accessKeyId: secret.accessKeyId });
  });
  afterEach(() => suite.key.close());
  return suite;
}

/** Every captured request is signed as aws4 signs it with the plain secret. */
export function expectJudged({ sent }: CapturedRequests, count: number): void {
  expect(sent).toHaveLength(count);
  for (const request of sent)
    expect(request.headers.authorization).toBe(judgedAuthorization(request, secret));
}
