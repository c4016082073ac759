import { constants, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { access } from "node:fs/promises";
import { userInfo } from "node:os";
import process from "node:process";
import { readTpmProperties } from "../../provision/tpm/properties.js";
import { type Finding, failure, ok, problem, warning } from "./finding.js";

export const defaultTcti = "device:/dev/tpmrm0";

export interface TpmChecks {
  /** By the TCTI of each TPM that a key is in. */
  wanted: ReadonlySet<string>;
  timeout: number | undefined;
}

/** Every TPM that there is, that a variable names or that a key is in. */
export async function tpms({ wanted, timeout }: TpmChecks): Promise<Finding[]> {
  const devices = list("/dev").filter((name) => /^tpmrm\d+$/.test(name));
  const variable = process.env.TPM2TOOLS_TCTI;
  const tctis = new Set([
    ...wanted,
    ...(variable ? [variable] : []),
    ...devices.map((name) => `device:/dev/${name}`),
  ]);
  const found: Finding[] = [];
  if (devices.length === 0) found.push(withoutDevice(wanted.has(defaultTcti)));
  if (variable && !wanted.has(variable)) {
    const remedy = `write ?tcti=${encodeURIComponent(variable)} behind the key's reference, where it is meant`;
    found.push(warning("TPM2TOOLS_TCTI", "tpm2-tools use it, this package does not", remedy));
  }
  for (const tcti of tctis) found.push(...(await tpm(tcti, wanted.has(tcti), timeout)));
  return found;
}

/** What is known of TPMs for which there is no device. */
function withoutDevice(isWanted: boolean): Finding {
  const chips = list("/sys/class/tpm").filter((name) => /^tpm\d+$/.test(name));
  const [chip] = chips;
  const state = isWanted ? problem : warning;
  if (chip === undefined) {
    const remedy =
      "if this machine has one, enable it in its firmware (fTPM, PTT) and load the kernel's driver for it";
    return isWanted ? problem("/dev/tpmrm0", "no TPM 2.0", remedy) : ok("/dev/tpmrm0", "no TPM 2.0 here");
  }
  if (read(`/sys/class/tpm/${chip}/tpm_version_major`) === "1") {
    return state(chip, "a TPM 1.2", "this package needs a TPM 2.0: see whether the firmware can be switched");
  }
  const remedy = "in a container, hand it the device: --device /dev/tpmrm0; else see that udev runs";
  return state("/dev/tpmrm0", `the kernel knows ${chip}, but there is no device here`, remedy);
}

async function tpm(tcti: string, isWanted: boolean, timeout: number | undefined): Promise<Finding[]> {
  const device = /^device:(\/.*)$/.exec(tcti)?.[1];
  const forbidden = device === undefined ? undefined : await forbiddenDevice(device, isWanted);
  if (forbidden) return [forbidden];
  const what = device ?? tcti;
  try {
    const { manufacturer, vendor, firmware, revision, ...lockout } = await readTpmProperties({
      tcti,
      timeout,
    });
    const model = [manufacturer, vendor].filter(Boolean).join(" ");
    return [
      ok(what, `${model}, firmware ${firmware}, TPM 2.0 revision ${revision}`),
      lockoutOf(`${what}, lockout`, lockout),
    ];
  } catch (error) {
    return [failure(what, error, isWanted ? "problem" : "warning")];
  }
}

function lockoutOf(what: string, { isLockedOut, failedTries, maxTries, forgetsAfter }: Lockout): Finding {
  const forgets = forgetsAfter > 0 ? `it forgets one every ${forgetsAfter} s` : "it forgets none";
  const clear = "or `tpm2_dictionarylockout --clear-lockout`, with the lockout hierarchy's password";
  if (isLockedOut)
    return problem(what, `locked after ${failedTries} wrong passwords`, `wait (${forgets}), ${clear}`);
  const found = `${failedTries} of ${maxTries} wrong passwords`;
  if (failedTries === 0) return ok(what, `${found}; ${forgets}`);
  return warning(what, found, `see who gives wrong passwords; ${forgets}, ${clear}`);
}

interface Lockout {
  isLockedOut: boolean;
  failedTries: number;
  maxTries: number;
  forgetsAfter: number;
}

/** Whether one wrong password more would lock the TPM; one that is locked takes none, and counts none. */
export async function isNearLockout(tcti: string, timeout: number | undefined): Promise<boolean> {
  const { isLockedOut, failedTries, maxTries } = await readTpmProperties({ tcti, timeout });
  return !isLockedOut && maxTries > 0 && failedTries + 1 >= maxTries;
}

/** A device that this user may not use, or that is not there; undefined of one that can be tried. */
async function forbiddenDevice(device: string, isWanted: boolean): Promise<Finding | undefined> {
  try {
    await access(device, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined; // told above, or by opening it
    const state = isWanted ? problem : warning;
    const status = statusOf(device);
    if (!status) {
      const remedy = "let this user search the folders above it (chmod +x)";
      return state(device, `this user may not look where it is (${code})`, remedy);
    }
    const { gid, mode } = status;
    const group = groupName(gid);
    const remedy =
      (mode & 0o060) === 0o060 && gid !== 0
        ? `usermod -aG ${group} ${userInfo().username}, then log in again`
        : "install the udev rules of TPMs (Debian: tpm-udev), which give it to group tss";
    const found = `this user may not read and write it (${code}): mode ${(mode & 0o777).toString(8)}, group ${group}`;
    return state(device, found, remedy);
  }
}

/** Undefined where this user may not search its folder. */
function statusOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}

function groupName(gid: number): string {
  const line = read("/etc/group")
    .split("\n")
    .find((one) => one.split(":")[2] === String(gid));
  return line?.split(":")[0] ?? String(gid);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // there is none in some containers
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}
