import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { tap } from "../support/wiretap.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM's bus", () => {
  const suite = tpmSuite();

  test("who listens on the bus learns neither secret, password nor MAC, unless encryption is off", async () => {
    const wire = await tap(suite.tcti);
    try {
      const options = { tcti: wire.tcti, auth: { password } };
      const { pem } = await importTpmKey(Buffer.from(secret), { ...options, output: "pem" });
      const macs = async (encryption: "session" | "none", mode: "hmac" | "plain"): Promise<string[]> => {
        const key = await suite.open({ tcti: wire.tcti, pem, encryption, auth: { password, mode } });
        const results = [await macOf(key, day), await macOf(key, Buffer.alloc(3000))];
        await key.close();
        return results;
      };
      const seen = (results: string[]): boolean[] => results.map((mac) => wire.saw(Buffer.from(mac, "hex")));

      expect(seen(await macs("session", "hmac"))).toEqual([false, false]);
      expect([secret, password].map((text) => wire.saw(Buffer.from(text)))).toEqual([false, false]);
      expect(seen(await macs("session", "plain"))).toEqual([false, false]);
      expect(wire.saw(Buffer.from(password))).toBe(true);
      expect(seen(await macs("none", "hmac"))).toEqual([true, true]);
      expect(wire.saw(Buffer.from(secret))).toBe(false);
    } finally {
      await wire.stop();
    }
  });
});
