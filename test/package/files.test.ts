import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Packed, pack } from "../support/packed.js";
import { temporaryFolder } from "../support/process.js";

const list = path.join(__dirname, "files.txt");
const megabyte = 1_000_000;

const { folder, remove } = temporaryFolder("files");
let files: Packed["files"];

beforeAll(async () => {
  ({ files } = await pack(folder));
}, 60_000);
afterAll(remove);

/** Made by `npm run sbom` at a release; a checkout may have none. */
const billOfMaterials = "sbom.cdx.json";
const isPrebuild = ({ path: file }: { path: string }): boolean => /^prebuilds\/.+\.node$/.test(file);

/** One name a line, declarations told behind their module. */
function names(): string[] {
  const all = new Set(files.filter((file) => !isPrebuild(file)).map((file) => file.path));
  all.delete(billOfMaterials);
  const lines: string[] = [];
  for (const name of all) {
    const module = name.replace(/\.d\.(m?)ts$/, ".$1js");
    if (module !== name && all.has(module)) continue;
    const declarations = name.replace(/\.(m?)js$/, ".d.$1ts");
    lines.push(declarations !== name && all.has(declarations) ? `${name} + types` : name);
  }
  return lines.sort();
}

test("holds exactly the files of files.txt, prebuilds and bill of materials apart (UPDATE_FILES=1 writes it anew)", () => {
  if (process.env.UPDATE_FILES === "1") writeFileSync(list, `${names().join("\n")}\n`);
  expect(names()).toEqual(readFileSync(list, "utf8").trimEnd().split("\n"));
});

test("stays under 1.5 MB unpacked but for the prebuilds, and these under 2.5 MB each", () => {
  const rest = files.filter((file) => !isPrebuild(file)).reduce((sum, { size }) => sum + size, 0);
  expect(rest).toBeLessThan(1.5 * megabyte);
  expect(files.filter((file) => isPrebuild(file) && file.size >= 2.5 * megabyte)).toEqual([]);
});
