import { makeNss, type Nss } from "../support/nss.js";
import { describeWith } from "../support/requirements.js";
import { tokenSuite } from "./suite.js";

describeWith(["nss"], "NSS softokn", () => {
  let nss: Nss;
  const start = async (): Promise<Nss> => {
    nss = await makeNss();
    return nss;
  };
  tokenSuite(start, () => {
    test("NSS's own tool lists the imported key", async () => {
      expect(await nss.keys()).toMatch(/\bsigner\b/);
    });
  });
});
