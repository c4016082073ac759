import { Command } from "commander";
import { AwsHmacError } from "../../core/errors.js";
import { parseKeyReference } from "../../keys/reference.js";
import { type DeviceFlags, withDeviceOptions } from "../key-options.js";
import { type Listing, listReference, listTokens, listTpm, listVault } from "../listing.js";
import { say, writeJson, writeTable } from "../output.js";

interface Flags extends DeviceFlags {
  tcti?: string;
  mount: string;
  json?: boolean;
}

const examples = `
tpm, pkcs11 or vault lists all keys there; without either, those of the TPM and of all tokens.
Private keys of a token show with its PIN only. Vault's address and token are those of the environment.

Examples:
  aws-hmac list
  aws-hmac list tpm --tcti swtpm:port=2321
  aws-hmac list --pin-file pin 'pkcs11:token=aws?module-path=/usr/lib/softhsm/libsofthsm2.so'
  aws-hmac list vault --mount transit
  aws-hmac list --json tink:/etc/keyset.json`;

/** `aws-hmac list`: which keys there are. */
export function listCommand(): Command {
  const command = new Command("list")
    .summary("list the keys in a device")
    .description("List the keys in devices, or what a key's reference leads to.")
    .argument("[place]", "tpm, pkcs11, vault, or a key's reference");
  return withDeviceOptions(command)
    .option("--tcti <string>", "the TPM, where it is not the kernel's resource manager")
    .option("--mount <path>", "the mount of Vault's Transit engine", "transit")
    .option("--json", "print all that is known, as JSON")
    .addHelpText("after", examples)
    .action(async (place: string | undefined, flags: Flags) => show(await listing(place, flags), flags));
}

function listing(place: string | undefined, flags: Flags): Promise<Listing> {
  const { tcti } = flags;
  switch (place) {
    case undefined:
      return everything(flags);
    case "tpm":
      return listTpm({ ...(tcti !== undefined && { tcti }) }, flags);
    case "pkcs11":
      return listTokens(undefined, flags);
    case "vault":
      return listVault(flags.mount, flags);
    default:
      return listReference(parseKeyReference(place), flags);
  }
}

/** What there is of each kind; one that is not there is told, and fails only with the other. */
async function everything(flags: Flags): Promise<Listing> {
  const found = await Promise.allSettled([listing("tpm", flags), listing("pkcs11", flags)]);
  const failed = found.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
  if (failed.length === found.length) throw failed[0];
  for (const error of failed) {
    if (!(error instanceof AwsHmacError)) throw error;
    say(`${error.message} [${error.code}]`);
  }
  const listings = found.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  return Object.assign({}, ...listings, { keys: listings.flatMap(({ keys }) => keys) }) as Listing;
}

async function show({ keys, tokens, broken }: Listing, { json }: Flags): Promise<void> {
  if (broken) say(`PKCS#11: ${broken}`);
  const hidden = tokens?.filter(({ loginRequired, loggedIn }) => loginRequired && !loggedIn) ?? [];
  for (const { tokenLabel } of hidden)
    say(`private keys of token ${printable(tokenLabel)} show with its PIN only`);
  if (json) {
    const listed = keys.map(({ reference, usable, details }) => ({ reference, usable, ...details }));
    return writeJson({ keys: listed, ...(tokens && { tokens }) });
  }
  if (tokens && tokens.length > 0) {
    const rows = tokens.map(({ tokenLabel, serial, module, pinState }) => [
      tokenLabel,
      serial,
      module,
      pinState,
    ]);
    await writeTable(
      ["TOKEN", "SERIAL", "MODULE", "PIN"],
      rows.map((row) => row.map(printable)),
    );
  }
  const rows = keys.map(({ reference, usable, about }) => [reference, usable ? "yes" : "no", about]);
  await writeTable(
    ["KEY", "SIGNS", "ABOUT"],
    rows.map((row) => row.map(printable)),
  );
}

/** What a device calls its own may hold what a terminal obeys. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "?");
}
