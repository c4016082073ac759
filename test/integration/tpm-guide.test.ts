import { closeSync, openSync } from "node:fs";
import { expectRightUrl, follow, withOwnSwtpm } from "../support/guide.js";
import { freePorts } from "../support/ports.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { startTerminal } from "../support/terminal.js";
import { tpmSuite } from "../support/tpm-suite.js";

const guide = { page: "docs/tpm.md", programs: "## A first walk" };
const listed = "0x81000000 fixedTPM|fixedParent|userWithAuth|sign true";

describeWith(["swtpm", "tpm2-tools", "socat"], "who follows docs/tpm.md gets a right signature", () => {
  const suite = tpmSuite();
  const { folder, remove } = temporaryFolder("guide");
  afterAll(remove);

  test("on a software TPM: as written, but for the ports and the folder", async () => {
    const port = await freePorts(2);
    const output = await follow({ ...guide, heading: "### On a software TPM" }, (text) =>
      withOwnSwtpm(text, folder, port),
    );
    expect(output).toContain(`-----BEGIN TSS2 PRIVATE KEY-----\n${listed}\n`);
    expectRightUrl(output);
  });

  test("on the TPM of this machine: as written, but for the device", async () => {
    const device = await startTerminal(suite.tcti);
    const held = openSync(device.path, "r+"); // a terminal ends when nobody has it open
    try {
      const output = await follow({ ...guide, heading: "### On the TPM of this machine" }, (text) =>
        text.replaceAll("/dev/tpmrm0", device.path),
      );
      expect(output).toMatch(/inLockout: +0\n/);
      expect(output).toContain(`-----BEGIN TSS2 PRIVATE KEY-----\n${listed}\n`);
      expectRightUrl(output);
    } finally {
      closeSync(held);
      await device.stop();
    }
  });
});
