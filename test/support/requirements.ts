import { missingMoto } from "./moto.js";
import { which } from "./process.js";

/** What installs a program where that is not the Debian package of the same name. */
const remedies: [RegExp, string][] = [
  [/^tpm2/, "apt-get install tpm2-tools"],
  [/^softhsm2-util$/, "apt-get install softhsm2"],
  [/^(ceph|monmaptool|radosgw)/, "apt-get install ceph-mon ceph-osd radosgw"],
  [/^moto_server$/, "node scripts/moto.mjs"],
];

function isMissing(program: string): boolean {
  return program === "moto_server" ? missingMoto().length > 0 : which(program) === undefined;
}

function reason(program: string): string {
  const remedy = remedies.find(([pattern]) => pattern.test(program))?.[1];
  return `needs ${program}: ${remedy ?? `apt-get install ${program}`}`;
}

/**
 * A suite that needs other programs ("swtpm", "softhsm2-util", "tpm2_getcap", "radosgw", "moto_server", …).
 * Where one is missing the suite is skipped, and its name says why.
 */
export function describeWith(programs: readonly string[], name: string, suite: () => void): void {
  const missing = programs.filter(isMissing);
  if (missing.length === 0) {
    describe(name, suite);
  } else {
    describe.skip(`${name} (${missing.map(reason).join("; ")})`, suite);
  }
}
