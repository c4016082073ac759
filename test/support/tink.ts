import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { runTool } from "./process.js";

/** Where scripts/python.mjs installs Tink. */
const folder = path.join(__dirname, "..", "..", "build", "python");
export const python = path.join(folder, "bin", "python");
const script = path.join(__dirname, "tink-keysets.py");

export function missingTink(): string[] {
  const libraries = path.join(folder, "lib");
  const versions = existsSync(libraries) ? readdirSync(libraries) : [];
  const installed = versions.some((version) =>
    existsSync(path.join(libraries, version, "site-packages", "tink")),
  );
  return installed ? [] : [python];
}

/** A key encryption key for Tink: one of its fake KMS, or of a server of AWS KMS's interface. */
export interface TinkKekPlace {
  kek: string;
  endpoint?: string;
  accessKeyId?: string;
  secretAccessKey?: string;
}

/** A key of a keyset that Tink is to make: an HMAC key with this value, or of a template of Tink's. Enabled, RAW, SHA256 and 32 by default. */
export interface TinkKeySpec {
  id: number;
  value?: string;
  template?: string;
  hash?: string;
  tag?: number;
  prefix?: string;
  status?: string;
}

export type TinkRequest =
  | { do: "newKek"; template: "AES128_GCM" | "AES256_GCM" }
  | ({
      do: "seal";
      keys: readonly TinkKeySpec[];
      primary: number;
      associatedData?: Uint8Array;
    } & TinkKekPlace)
  | ({
      do: "mac";
      keyset: string | Uint8Array;
      message: Uint8Array;
      associatedData?: Uint8Array;
    } & TinkKekPlace)
  | ({ do: "decrypt"; keyset: Uint8Array; associatedData?: Uint8Array } & TinkKekPlace);

/** What Tink gives, by the request; `refused` is its error, in words. */
export interface TinkAnswer {
  kek: string;
  /** Encrypted. */
  json: string;
  /** Encrypted. */
  binary: Buffer;
  /** In the clear. */
  keyset: Buffer;
  mac: Buffer;
  primary: number;
  keys: number;
  refused?: string;
}

/** Has Tink's library for Python do all of this, one after another. */
export async function askTink(...requests: TinkRequest[]): Promise<TinkAnswer[]> {
  const input = JSON.stringify(requests.map(forTink));
  const answers = JSON.parse(await runTool(python, [script], { input })) as Record<string, unknown>[];
  return answers.map((answer) => {
    for (const name of ["binary", "keyset", "mac"]) {
      if (name in answer) answer[name] = Buffer.from(answer[name] as string, "base64");
    }
    return answer as unknown as TinkAnswer;
  });
}

function forTink(request: TinkRequest): object {
  const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64");
  const { do: action } = request;
  if (action === "newKek") return request;
  const associatedData = base64(request.associatedData ?? "");
  if (action === "seal") {
    const keys = request.keys.map(({ value, ...key }) => ({
      ...key,
      ...(value !== undefined && { value: base64(value) }),
    }));
    return { ...request, associatedData, keys };
  }
  const { keyset, ...rest } = request;
  const form = typeof keyset === "string" ? { json: keyset } : { binary: base64(keyset) };
  const message = "message" in rest ? base64(rest.message) : undefined;
  return { ...rest, ...form, associatedData, message };
}
