import type { HmacSigner, SigningError } from "../../../lib/index.js";
import { openSigner, refusal, request, signingDate } from "../../support/signer.js";

describe("presignUrl", () => {
  const place = "https://bucket.s3.eu-central-1.amazonaws.com";
  const s3 = (): HmacSigner => openSigner({ service: "s3", sessionToken: "token/+=" });

  test("the URL keeps its path and query and gains the signature last", async () => {
    const url = await s3().presignUrl(`${place}/folder%2Ffile%20+1?versionId=a+b%2B&versionId=c&acl#top`, {
      signingDate,
    });
    expect(url).toMatch(
      new RegExp(
        `^${place}/folder%2Ffile%20%2B1\\?versionId=a%20b%2B&versionId=c&acl=&X-Amz-.*&X-Amz-Signature=\\w{64}$`,
      ),
    );
    expect(new URL(url).searchParams.get("X-Amz-Security-Token")).toBe("token/+=");
    expect(new URL(url).searchParams.get("X-Amz-Expires")).toBe("3600");
  });

  test("method, headers and port are signed; a URL object will do", async () => {
    const one = await s3().presignUrl(new URL("http://localhost:8080/k"), { signingDate, method: "PUT" });
    expect(one).toMatch(/^http:\/\/localhost:8080\/k\?/);
    const two = await s3().presignUrl("http://localhost:8080/k", {
      signingDate,
      method: "PUT",
      headers: {
        "Content-Type": "text/plain",
        "x-amz-meta-a": "b",
        "x-amz-server-side-encryption": "AES256",
      },
    });
    expect(new URL(two).searchParams.get("x-amz-meta-a")).toBe("b");
    expect(new URL(two).searchParams.get("X-Amz-SignedHeaders")).toBe(
      "content-type;host;x-amz-server-side-encryption",
    );
    expect(new URL(one).searchParams.get("X-Amz-SignedHeaders")).toBe("host");
  });

  test("S3: the headers to send are those that were given", async () => {
    const presigned = await s3().presign({ ...request, method: "PUT", body: "not signed" }, { signingDate });
    expect(presigned.headers).toEqual(request.headers);
    expect(presigned.query).not.toHaveProperty("x-amz-content-sha256");
  });

  test.each([
    "",
    "/path",
    "ftp://a/b",
    "https://user:pass@a/b",
    "https://a/?b=%FF",
    "https://a/?__proto__=1",
  ])("%p is refused, without a trace of it in the error", async (url) => {
    const error: unknown = await s3()
      .presignUrl(url)
      .catch((reason: unknown) => reason);
    expect(error).toEqual(refusal("ERR_SIGN_INPUT"));
    expect((error as SigningError).message).not.toContain("pass@");
  });
});
