// The bill of materials: what is in it, that it is CycloneDX, and that the same checkout gives the same one.
import { readFileSync } from "node:fs";
import path from "node:path";
import { runTool, temporaryFolder } from "../support/process.js";

const checkout = path.join(__dirname, "..", "..");
const { folder, remove } = temporaryFolder("sbom");
afterAll(remove);

interface Component {
  "bom-ref": string;
  group?: string;
  name: string;
  version: string;
  purl: string;
  licenses: object[];
  hashes?: { alg: string; content: string }[];
  externalReferences?: { type: string; hashes?: object[] }[];
}
interface Bom {
  components: Component[];
  dependencies: { ref: string; dependsOn?: string[] }[];
}

const readJson = (file: string): unknown => JSON.parse(readFileSync(path.join(checkout, file), "utf8"));
const make = async (name: string): Promise<string> => {
  const file = path.join(folder, name);
  await runTool(process.execPath, ["scripts/sbom.mjs", file], { cwd: checkout });
  return readFileSync(file, "utf8");
};
let text: string;
let bom: Bom;

beforeAll(async () => {
  text = await make("first.json");
  bom = JSON.parse(text) as Bom;
}, 120_000);

test("the same checkout gives the same bytes, which name no place and no time", async () => {
  expect(await make("second.json")).toBe(text);
  expect(text).not.toContain(checkout);
  expect(text).not.toContain("timestamp");
});

test("holds each dependency of the package, with the hash that the lock has, and no tool of ours", () => {
  const { dependencies } = readJson("package.json") as { dependencies: Record<string, string> };
  const names = bom.components.map(({ group, name }) => (group ? `${group}/${name}` : name));
  expect(names).toEqual(expect.arrayContaining(Object.keys(dependencies)));
  for (const other of ["jest", "typescript", "@aws-sdk/client-kms"]) expect(names).not.toContain(other);
  const { packages } = readJson("package-lock.json") as { packages: Record<string, { integrity: string }> };
  const commander = bom.components.find(({ name }) => name === "commander");
  const digest = Buffer.from(packages["node_modules/commander"]?.integrity.slice(7) ?? "", "base64");
  expect(commander?.hashes).toEqual([{ alg: "SHA-512", content: digest.toString("hex") }]);
});

test("holds what is linked into the prebuilt addons, as NOTICE does", () => {
  const sources = readJson("scripts/prebuild/sources.json") as Record<string, Record<string, string>>;
  const notice = readFileSync(path.join(checkout, "NOTICE"), "utf8");
  const linked = Object.entries(sources).filter(([, { licence }]) => licence);
  expect(linked.map(([name]) => name)).toEqual(["tpm2-tss", "p11-kit"]);
  for (const [name, { version, licence, sha256 }] of linked) {
    const component = bom.components.find((one) => one.name === name);
    expect(component).toMatchObject({ version, licenses: [{ license: { id: licence } }] });
    expect(component?.purl).toMatch(new RegExp(`^pkg:github/[\\w-]+/${name}@${version}$`));
    expect(component?.externalReferences).toEqual([
      expect.objectContaining({ hashes: [{ alg: "SHA-256", content: sha256 }] }),
    ]);
    expect(notice).toMatch(new RegExp(`^${name} ${version}`, "m"));
    expect(notice).toMatch(new RegExp(`^  ${name} +${licence}`, "m"));
  }
  const runtime = bom.components.find(({ name }) => name === "gcc-10");
  expect(runtime?.licenses).toEqual([{ expression: "GPL-3.0-or-later WITH GCC-exception-3.1" }]);
});

test("every dependency that is named is there", () => {
  const known = bom.components.map((component) => component["bom-ref"]);
  for (const { dependsOn = [] } of bom.dependencies)
    for (const one of dependsOn) expect(known).toContain(one);
});

test("is what CycloneDX's schema says, which knows a wrong one", async () => {
  const program = `
    const { Spec, Validation } = require("./scripts/sbom/node_modules/@cyclonedx/cyclonedx-library");
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    validator.validate(require("node:fs").readFileSync(0, "utf8"))
      .then((errors) => console.log(errors === null ? "valid" : "wrong"));`;
  const judge = (input: string): Promise<string> =>
    runTool(process.execPath, ["-e", program], { cwd: checkout, input });
  expect(await judge(text)).toBe("valid\n");
  expect(await judge(text.replace('"type": "library"', '"type": "lib"'))).toBe("wrong\n");
});
