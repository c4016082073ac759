import {
  decoded,
  decodedBytes,
  encodedBytes,
  pathFor,
  pathIn,
  readQuery,
  splitQuery,
  unusable,
} from "./text.js";

/** Where a Tink keyset is and what decrypts it, as `openTinkKey` takes it. */
export interface TinkPlace {
  keysetFile: string;
  kek?: string;
  associatedData?: Uint8Array;
}

const form =
  "it must be tink:/path?kek=<URI> (aws-kms%3A%2F%2Farn%3A…, percent-encoded), with &associated-data=… as needed";

/** What is behind `tink:`. */
export function readTinkReference(text: string): TinkPlace {
  const [place, query] = splitQuery(text);
  const { kek, "associated-data": data } = readQuery(query, ["kek", "associated-data"], form);
  const keysetFile = pathIn(place);
  if (keysetFile === undefined || keysetFile.endsWith("/") || keysetFile.includes("\0")) throw unusable(form);
  return {
    keysetFile,
    ...(kek !== undefined && { kek: decoded("kek", kek) }),
    ...(data !== undefined && { associatedData: decodedBytes("associated-data", data) }),
  };
}

/** The reference of a keyset in a file. Where `kek` is left out an `aead` must be given to open it. */
export function formatTinkReference({ keysetFile, kek, associatedData }: TinkPlace): string {
  const query = [
    ...(kek === undefined ? [] : [`kek=${encodeURIComponent(kek)}`]),
    ...(!associatedData?.length ? [] : [`associated-data=${encodedBytes(associatedData)}`]),
  ].join("&");
  return `tink:${pathFor(keysetFile)}${query && `?${query}`}`;
}
