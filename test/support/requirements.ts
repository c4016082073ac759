import { spawnSync } from "node:child_process";
import { missingAwsCli } from "./aws-cli.js";
import { missingOpenBao } from "./bao.js";
import { missingMoto } from "./moto.js";
import { which } from "./process.js";
import { missingCephPrograms } from "./rgw.js";
import { missingTink } from "./tink.js";

const absent = (...programs: string[]): string[] =>
  programs.filter((program) => which(program) === undefined);

// What describeInNamespace needs.
function missingNamespaces(): string[] {
  const { status } = spawnSync("unshare", ["--mount", "--ipc", "--pid", "--fork", "--mount-proc", "true"]);
  return status === 0 && process.getuid?.() === 0 ? [] : ["namespaces"];
}

const requirements = {
  swtpm: { missing: () => absent("swtpm"), remedy: "apt-get install swtpm" },
  "tpm2-tools": { missing: () => absent("tpm2"), remedy: "apt-get install tpm2-tools" },
  openssl: { missing: () => absent("openssl"), remedy: "apt-get install openssl" },
  socat: { missing: () => absent("socat"), remedy: "apt-get install socat" },
  softhsm: { missing: () => absent("softhsm2-util"), remedy: "apt-get install softhsm2" },
  parallel: { missing: () => absent("parallel"), remedy: "apt-get install parallel" },
  "p11-kit": {
    missing: () => absent("p11-kit"),
    remedy: "apt-get install p11-kit p11-kit-modules",
  },
  opensc: { missing: () => absent("pkcs11-tool"), remedy: "apt-get install opensc" },
  gnutls: { missing: () => absent("p11tool"), remedy: "apt-get install gnutls-bin" },
  nss: { missing: () => absent("certutil", "symkeyutil"), remedy: "apt-get install libnss3 libnss3-tools" },
  opencryptoki: { missing: () => absent("pkcsslotd"), remedy: "apt-get install opencryptoki" },
  "tpm2-pkcs11": {
    missing: () => absent("tpm2_ptool"),
    remedy: "apt-get install libtpm2-pkcs11-1 libtpm2-pkcs11-tools",
  },
  namespaces: { missing: missingNamespaces, remedy: "run the tests as root, where mounting is allowed" },
  ceph: {
    missing: missingCephPrograms,
    remedy: "apt-get install ceph-mon ceph-osd radosgw",
  },
  openbao: { missing: missingOpenBao, remedy: "node scripts/python.mjs" },
  moto: { missing: missingMoto, remedy: "node scripts/python.mjs" },
  awscli: { missing: missingAwsCli, remedy: "node scripts/python.mjs" },
  tink: { missing: missingTink, remedy: "node scripts/python.mjs" },
};

/** Software that a suite may need beside Node and the addon. */
export type Requirement = keyof typeof requirements;

/** Those of the needs that this machine does not meet. */
export function lacking(needs: readonly Requirement[]): Requirement[] {
  return needs.filter((need) => requirements[need].missing().length > 0);
}

/** A suite that needs other software. Where some of it is missing the suite is skipped and its name says why. */
export function describeWith(needs: readonly Requirement[], name: string, suite: () => void): void {
  const missing = lacking(needs);
  if (missing.length === 0) {
    describe(name, suite);
    return;
  }
  const reason = missing.map((need) => `needs ${need}: ${requirements[need].remedy}`).join("; ");
  describe.skip(`${name} (${reason})`, suite);
}
