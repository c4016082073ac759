import { chmodSync, realpathSync } from "node:fs";
import { type HungTpm, startHungTpm } from "../support/hung-tpm.js";
import { startProcess, until } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { startTerminal, type Terminal } from "../support/terminal.js";
import { runChild } from "./run-child.js";

describeWith(["socat"], "a device that is closed to the program", () => {
  let tpm: HungTpm;
  let device: Terminal;
  let path: string;
  beforeEach(async () => {
    tpm = await startHungTpm();
    device = await startTerminal(tpm.tcti);
    path = realpathSync(device.path);
  });
  afterEach(async () => {
    await device.stop();
    await tpm.stop();
  });

  /** What somebody who is not root is told. */
  const told = async (): Promise<string> => {
    const { code, stdout, stderr } = await runChild("open as nobody", {
      tpm: { tcti: `device:${path}`, handle: 0x81008001 },
    });
    expect([code, stderr]).toEqual([0, ""]);
    return stdout;
  };

  test("by its permissions: the group is named", async () => {
    chmodSync(path, 0o000);
    expect(await told()).toBe(
      `ERR_TPM_DEVICE_PERMISSION EACCES ${path}: Permission denied (the user must be in the device's group, mostly "tss") (open: EACCES)\n`,
    );
  }, 60_000);

  test("by another program that holds it: what others may share is named", async () => {
    chmodSync(path, 0o666);
    const exclusive = "ioctl-void=0x540c"; // TIOCEXCL: as /dev/tpm0, the device has no other opener
    const holder = startProcess("socat", ["-dd", `OPEN:${path},${exclusive}`, "EXEC:cat"]);
    try {
      await until("socat", () => holder.output().includes("starting data transfer loop"));
      expect(await told()).toBe(
        `ERR_TPM_DEVICE_BUSY EBUSY ${path}: Device or resource busy (another program holds it: use /dev/tpmrm0, which is shared) (open: EBUSY)\n`,
      );
    } finally {
      await holder.stop();
    }
  }, 60_000);
});
