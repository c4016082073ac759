import { createHmac } from "node:crypto";
import { HmacSignerV4a } from "../../lib/index.js";
import { backends, secretAccessKey } from "../support/backends.js";
import { describeWith } from "../support/requirements.js";
import { accessKeyId, request, signingDate } from "../support/signer.js";
import { publicKeyOf, signatureOf, smithyV4a, verifies } from "../support/sigv4a.js";

for (const backend of backends) {
  describeWith(backend.needs, `SigV4a with a key in ${backend.name}`, () => {
    test("its signatures are good for the public key of the plain secret", async () => {
      const device = await backend.start(secretAccessKey, "sigv4a");
      try {
        await using key = await device.open();
        const message = Buffer.from(
          `\0\0\0\x01AWS4-ECDSA-P256-SHA256\0${accessKeyId}\x01\0\0\x01\0`,
          "latin1",
        );
        const candidate = createHmac("sha256", `AWS4A${secretAccessKey}`).update(message).digest("hex");
        const judge = publicKeyOf(BigInt(`0x${candidate}`) + 1n);
        const plain = { accessKeyId, secret: secretAccessKey };
        for (const keyCache of ["key", "none"] as const) {
          const signer = new HmacSignerV4a({ key, accessKeyId, regionSet: "*", service: "s3", keyCache });
          const { headers } = await signer.sign(request, { signingDate });
          const { stringToSign } = await smithyV4a(request, { ...plain, service: "s3", signingDate });
          expect(verifies(judge, stringToSign, signatureOf(headers))).toBe(true);
        }
      } finally {
        await device.stop();
      }
    }, 60_000);
  });
}
