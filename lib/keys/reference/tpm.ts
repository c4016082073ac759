import type { TpmParent } from "../tpm/parent.js";
import type { TpmKeyOptions } from "../tpm.js";
import { decoded, pathFor, pathIn, readQuery, splitQuery, unusable } from "./text.js";

/** Where a key is in a TPM, as `openTpmKey` takes it. */
export type TpmPlace = Pick<TpmKeyOptions, "handle" | "pemFile" | "tcti" | "parent">;

const form = "behind the ? may be tcti=… and parent=…, with & between them; passwords go into options";

/** What is behind `tpm:`, or behind `handle:`, where no path may be. */
export function readTpmReference(text: string, mayBePath: boolean): TpmPlace {
  const [place, query] = splitQuery(text);
  const { tcti, parent } = readQuery(query, ["tcti", "parent"], form);
  const how = {
    ...(tcti !== undefined && { tcti: decoded("tcti", tcti) }),
    ...(parent !== undefined && { parent: parentOf(decoded("parent", parent)) }),
  };
  if (/^0x[\da-f]{8}$/i.test(place)) return { handle: Number(place), ...how };
  const pemFile = mayBePath ? pathIn(place) : undefined;
  if (pemFile !== undefined) return { pemFile, ...how };
  throw unusable(
    mayBePath
      ? "behind tpm: comes a handle (0x81008001) or a path with a slash"
      : "behind handle: comes 0x81008001",
  );
}

/** The reference of a persistent TPM key; `tcti` where it is not the default. */
export function formatTpmReference(handle: number, tcti: string | undefined): string {
  const query = tcti === undefined ? "" : `?tcti=${encodeURIComponent(tcti)}`;
  return `tpm:0x${handle.toString(16)}${query}`;
}

/** The reference of a TPM key's file; `parent` where the file does not say it. */
export function formatTpmFileReference(
  file: string,
  { tcti, parent }: Pick<TpmPlace, "tcti" | "parent">,
): string {
  const query = [
    ...(tcti === undefined ? [] : [`tcti=${encodeURIComponent(tcti)}`]),
    ...(parent === undefined ? [] : [`parent=${parent}`]),
  ].join("&");
  return `tpm:${pathFor(file)}${query && `?${query}`}`;
}

/** openTpmKey judges the name. */
function parentOf(text: string): TpmParent {
  return /^0x[\da-f]{8}$/i.test(text) ? Number(text) : (text as TpmParent);
}
