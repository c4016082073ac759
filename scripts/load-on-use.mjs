// What tsc compiles loads all its imports at its start. A program that signs with a TPM needs a third of our modules, and
// none of the SDK's: so every module loads another at its first use of it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

// tsc's way to write an import. What it exports from elsewhere is a `var`, which must stay: Node reads the names of a
// CommonJS module's exports from the text.
const imported = /^const (\w+) = ((?:__import\w+\()?require\("[^"]+"\)\)?);$/gm;

/** The text of a CommonJS module of tsc's whose imports are loaded when they are first used. */
export function loadOnUse(text) {
  const names = [...text.matchAll(imported)].map(([, name]) => name);
  const lazy = text.replace(imported, "let $1_; const $1 = () => ($1_ ??= $2);");
  return names.reduce(
    (result, name) => result.replaceAll(new RegExp(`\\b${name}\\.(\\w+)`, "g"), `(${name}().$1)`),
    lazy,
  );
}

/** Makes every CommonJS module of a folder load on use. */
export function loadFolderOnUse(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith(".js")) continue;
    const file = path.join(folder, name);
    writeFileSync(file, loadOnUse(readFileSync(file, "utf8")));
  }
}
