// What this system has that a user need not install: libraries of TPMs and PKCS#11, compilers, interpreters.
const { readdirSync } = require("node:fs");
const path = require("node:path");

const files = (folder) => {
  try {
    return readdirSync(folder, { recursive: true }).map((name) => path.join(folder, String(name)));
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
};
const libraries = ["/lib", "/lib64", "/usr/lib", "/usr/local", "/opt/node"].flatMap(files);
const programs = process.env.PATH.split(":").flatMap(files);
const found = [
  ...libraries.filter((file) => /\/(lib(tss2|p11-kit|softhsm|tpms|crypto|ssl)|p11-kit)[^/]*\.so/.test(file)),
  ...programs.filter((file) =>
    /\/(cc|c\+\+|gcc|g\+\+|clang|make|cmake|ninja|python3?|swtpm|tpm2|p11-kit|apt)(-?[\d.]+)?$/.test(file),
  ),
];
console.log(JSON.stringify({ programs: programs.length, libraries: libraries.length, found }));
