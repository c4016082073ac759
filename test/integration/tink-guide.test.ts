import { expectRightUrl, follow, withOwnKms } from "../support/guide.js";
import { type Kms, startKms } from "../support/kms.js";
import { describeWith } from "../support/requirements.js";
import { python } from "../support/tink.js";

const page = "docs/tink.md";

describeWith(["moto", "tink"], "who follows docs/tink.md gets a right signature", () => {
  let kms: Kms;
  beforeAll(async () => {
    kms = await startKms();
  }, 60_000);
  afterAll(() => kms?.stop());

  /** As written, but for the key of AWS KMS, which is moto's. */
  const here = (text: string): string => withOwnKms(text, kms.arn, kms.env);

  test("with a keyset that was imported", async () => {
    const output = await follow({ page, heading: "## A first walk" }, here);
    expect(output).toMatch(/^-rw-------.* keyset\.json\nhttps:/);
    expectRightUrl(output);
  });

  test("with a keyset that Tink for Python made", async () => {
    const guide = { page, heading: "### With Tink itself" };
    const output = await follow({ ...guide, also: [{ page, heading: "## A first walk" }] }, (text) =>
      here(text).replace("python3", python),
    );
    expectRightUrl(output);
  });
});
