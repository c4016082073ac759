import { existsSync } from "node:fs";
import path from "node:path";

// Where Debian, Fedora and Arch put PKCS#11 modules.
const folders = [
  ...["x86_64-linux-gnu", "aarch64-linux-gnu"].flatMap((triplet) => [
    `/usr/lib/${triplet}`,
    `/usr/lib/${triplet}/pkcs11`,
  ]),
  "/usr/lib64",
  "/usr/lib64/pkcs11",
  "/usr/lib",
  "/usr/lib/pkcs11",
];

/** The path of an installed PKCS#11 module, e.g. of `libsoftokn3.so`. */
export function modulePath(name: string): string {
  const found = folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`no ${name} in ${folders.join(", ")}`);
  return found;
}
