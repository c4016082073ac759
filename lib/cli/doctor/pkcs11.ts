import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { formatPkcs11Uri, parsePkcs11Uri } from "../../keys/pkcs11/uri.js";
import {
  type ListedPkcs11Token,
  listPkcs11Keys,
  type Pkcs11Listing,
} from "../../provision/pkcs11/housekeeping.js";
import { type Finding, failure, ok, warning } from "./finding.js";

const pinStates: Record<ListedPkcs11Token["pinState"], [found: string, remedy: string]> = {
  ok: ["", ""],
  "count-low": [
    "a wrong PIN was entered since the last right one",
    "see who gives a wrong PIN; a right one mends it",
  ],
  "final-try": [
    "the next wrong PIN locks it",
    "have somebody who knows the PIN log in: aws-hmac gives none until then",
  ],
  locked: ["its PIN is locked", "have the security officer set a new one, e.g. `pkcs11-tool --init-pin`"],
};

/** What libtpm2-pkcs11 makes in the working directory where it finds it nowhere. */
const store = "tpm2_pkcs11.sqlite3";

/** The tokens that p11-kit is configured with. */
export async function configuredTokens(timeout: number | undefined): Promise<Finding[]> {
  try {
    const list = (): Promise<Pkcs11Listing> => listPkcs11Keys({ timeout });
    const { tokens, broken } = existsSync(store) ? await list() : await inFolderThatGoes(list);
    const own = tokens.filter(({ model }) => model !== "p11-kit-trust");
    const found =
      own.length === 0 ? [ok("p11-kit", "no token in the modules that it is configured with")] : [];
    if (broken !== "")
      found.push(
        warning(
          "p11-kit",
          `modules do not work: ${broken}`,
          "mend or remove their files in /usr/share/p11-kit/modules or /etc/pkcs11/modules",
        ),
      );
    return [...found, ...own.map((token) => tokenFinding(token, "warning"))];
  } catch (error) {
    return [failure("p11-kit", error, "warning")];
  }
}

/**
 * The tokens that a key's reference means, looked at without a PIN.
 *
 * @returns `mayLogIn`: whether a PIN may be tried: no token tells of a wrong one
 */
export async function keyTokens(
  uri: string,
  timeout: number | undefined,
): Promise<{ findings: Finding[]; mayLogIn: boolean }> {
  const { label: _, id: _id, pinSource: _source, pinValue, ...token } = parsePkcs11Uri(uri);
  const { tokens } = await listPkcs11Keys({ uri: formatPkcs11Uri(token), timeout });
  const findings = tokens.map((one) => tokenFinding(one, "problem"));
  if (pinValue) {
    const remedy = "put it into a file of this user's own, and give pin-source or --pin-file";
    findings.push(warning("PIN", "it stands in the key's reference", remedy));
  }
  return { findings, mayLogIn: tokens.every(({ pinState }) => pinState === "ok") };
}

async function inFolderThatGoes<T>(work: () => Promise<T>): Promise<T> {
  const [before, folder] = [process.cwd(), mkdtempSync(path.join(tmpdir(), "aws-hmac-"))];
  process.chdir(folder);
  try {
    return await work();
  } finally {
    process.chdir(before);
    rmSync(folder, { recursive: true });
  }
}

function tokenFinding(
  { tokenLabel, manufacturer, model, module, pinState, keys, loginRequired }: ListedPkcs11Token,
  worst: "warning" | "problem",
): Finding {
  const what = `token ${tokenLabel || "without a label"}`;
  const of = [manufacturer, model].filter(Boolean).join(" ");
  const usable = keys.filter(({ usableForAws4 }) => usableForAws4).length;
  const seen = `${usable} usable ${usable === 1 ? "key" : "keys"}${loginRequired ? " without a login" : ""}`;
  const [found, remedy] = pinStates[pinState];
  const all = [of, module, seen, found].filter(Boolean).join(", ");
  if (pinState === "ok") return ok(what, all);
  return { state: pinState === "count-low" ? "warning" : worst, what, found: all, remedy };
}
