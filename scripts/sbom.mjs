// npm run sbom [FILE]: a CycloneDX bill of materials, by default sbom.cdx.json, which the tarball holds: the npm packages of
// package-lock.json that the package needs, and what is linked into the prebuilt addons. The same checkout gives the same bytes.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { requireModules } from "./build.mjs";
import { program, root, run, Stop, say } from "./run.mjs";
import { requireTool } from "./tools.mjs";

const specVersion = "1.6";
const folder = path.join(root, "scripts", "sbom");
/** Where the sources that are linked in come from. */
const upstream = {
  "tpm2-tss": "pkg:github/tpm2-software/tpm2-tss",
  "p11-kit": "pkg:github/p11-glue/p11-kit",
};

const readJson = (file) => JSON.parse(readFileSync(path.join(root, file), "utf8"));

/** What scripts/prebuild links in, and the compiler's own libraries of the Debian 11 that it builds in. */
function linked() {
  const mirror = "http://deb.debian.org/debian";
  const sources = Object.entries(readJson("scripts/prebuild/sources.json"))
    .filter(([, source]) => source.licence)
    .map(([name, { version, licence, path: place, sha256 }]) => ({
      ...{ name, version, purl: `${upstream[name]}@${version}`, licenses: [{ license: { id: licence } }] },
      externalReferences: [
        {
          ...{ type: "source-distribution", url: `${mirror}/${place}` },
          hashes: [{ alg: "SHA-256", content: sha256 }],
        },
      ],
    }));
  const runtime = {
    ...{ name: "gcc-10", version: "10.2.1", description: "libstdc++ and libgcc" },
    purl: "pkg:deb/debian/gcc-10@10.2.1-6?arch=source&distro=bullseye",
    licenses: [{ expression: "GPL-3.0-or-later WITH GCC-exception-3.1" }],
  };
  return [...sources, runtime].map((one) => ({ type: "library", "bom-ref": one.purl, ...one }));
}

/** SHA-512 of an npm package's tarball, which only the lock knows. */
function lockedHash(lock, { properties }) {
  const place = properties.find(({ name }) => name === "cdx:npm:package:path").value;
  const [algorithm, digest] = lock.packages[place].integrity.split("-");
  if (algorithm !== "sha512") throw new Stop(`package-lock.json has no SHA-512 of ${place}`);
  return { alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") };
}

/** Throws Stop unless the text is what the schema of CycloneDX says. */
async function validate(text) {
  const library = path.join(folder, "node_modules", "@cyclonedx", "cyclonedx-library", "dist.node");
  const { Spec, Validation } = (await import(pathToFileURL(path.join(library, "index.node.js")))).default;
  const validator = new Validation.JsonStrictValidator(Spec.Version[`v${specVersion.replace(".", "dot")}`]);
  const errors = await validator.validate(text);
  if (errors !== null) throw new Stop(`the bill of materials is not valid: ${JSON.stringify(errors)}`);
}

await program(import.meta.url, async ([file = path.join(root, "sbom.cdx.json")]) => {
  await requireModules(); // npm tells of what is installed
  const cyclonedx = await requireTool("scripts/sbom", "cyclonedx-npm");
  say("making the bill of materials: CycloneDX");
  const what = ["--omit", "dev", "--mc-type", "library", "--spec-version", specVersion];
  await run(cyclonedx, [...what, "--output-reproducible", "--output-file", file, "package.json"]);
  const bom = JSON.parse(readFileSync(file, "utf8"));
  const lock = readJson("package-lock.json");
  for (const component of bom.components) component.hashes = [lockedHash(lock, component)];
  const added = linked();
  bom.components.push(...added);
  bom.dependencies.push(...added.map(({ purl }) => ({ ref: purl })));
  const own = bom.dependencies.find(({ ref }) => ref === bom.metadata.component["bom-ref"]);
  own.dependsOn.push(...added.map(({ purl }) => purl));
  const text = `${JSON.stringify(bom, null, 1)}\n`;
  await validate(text);
  writeFileSync(file, text);
});
