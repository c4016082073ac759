/** What building the addon takes, by system: `ids` are those of os-release's `ID` and `ID_LIKE`. */
export const buildPackages = [
  {
    name: "Debian, Ubuntu",
    ids: ["debian", "ubuntu"],
    install: "apt-get install -y",
    packages: "g++ make cmake pkg-config libtss2-dev libp11-kit-dev libssl-dev",
  },
  {
    name: "Alpine",
    ids: ["alpine"],
    install: "apk add",
    packages: "g++ make cmake pkgconf tpm2-tss-dev p11-kit-dev openssl-dev",
  },
  {
    name: "Fedora, RHEL",
    ids: ["fedora", "rhel"],
    install: "dnf install -y",
    packages: "gcc-c++ make cmake pkgconf-pkg-config tpm2-tss-devel p11-kit-devel openssl-devel",
  },
] as const;
