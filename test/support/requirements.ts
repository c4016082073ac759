import { missingMoto } from "./moto.js";
import { which } from "./process.js";
import { missingCephPrograms } from "./rgw.js";

const absent = (...programs: string[]): string[] =>
  programs.filter((program) => which(program) === undefined);

const requirements = {
  swtpm: { missing: () => absent("swtpm"), remedy: "apt-get install swtpm" },
  "tpm2-tools": { missing: () => absent("tpm2"), remedy: "apt-get install tpm2-tools" },
  openssl: { missing: () => absent("openssl"), remedy: "apt-get install openssl" },
  socat: { missing: () => absent("socat"), remedy: "apt-get install socat" },
  softhsm: { missing: () => absent("softhsm2-util"), remedy: "apt-get install softhsm2" },
  "p11-kit": {
    missing: () => absent("p11-kit"),
    remedy: "apt-get install p11-kit p11-kit-modules",
  },
  opensc: { missing: () => absent("pkcs11-tool"), remedy: "apt-get install opensc" },
  gnutls: { missing: () => absent("p11tool"), remedy: "apt-get install gnutls-bin" },
  nss: { missing: () => absent("certutil"), remedy: "apt-get install libnss3-tools" },
  ceph: {
    missing: missingCephPrograms,
    remedy: "apt-get install ceph-mon ceph-osd radosgw",
  },
  moto: { missing: missingMoto, remedy: "node scripts/moto.mjs" },
};

/** Software that a suite may need beside Node and the addon. */
export type Requirement = keyof typeof requirements;

/** A suite that needs other software. Where some of it is missing the suite is skipped and its name says why. */
export function describeWith(needs: readonly Requirement[], name: string, suite: () => void): void {
  const lacking = needs.filter((need) => requirements[need].missing().length > 0);
  if (lacking.length === 0) {
    describe(name, suite);
    return;
  }
  const reason = lacking.map((need) => `needs ${need}: ${requirements[need].remedy}`).join("; ");
  describe.skip(`${name} (${reason})`, suite);
}
