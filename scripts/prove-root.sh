#!/usr/bin/env bash
# Proves the two commands on a machine with nothing but Node: a new Debian in a temporary folder.
#   scripts/prove-root.sh SUITE [COMMAND…]      e.g. scripts/prove-root.sh trixie
# Clones the committed state of this checkout into the root and runs COMMAND in it, by default
# `npm run demo && npm test`. Needs root, debootstrap, git and npm; the exit code is COMMAND's.
# PROVE_NODE   major version of Node inside (default 20)
# PROVE_MIRROR where the packages come from (default http://deb.debian.org/debian)
set -euo pipefail

suite=${1:?usage: scripts/prove-root.sh SUITE [COMMAND…]}
shift
[ $# -gt 0 ] || set -- bash -c 'npm run demo && npm test'
[ "$(id -u)" = 0 ] || { echo "prove-root.sh: chroot and mount take root" >&2; exit 1; }

checkout=$(cd "$(dirname "$0")/.." && pwd)
root=$(mktemp -d -t "aws-hmac-$suite-XXXXXX")
chmod 755 "$root"
# The mounts below live in a namespace of their own that has ended by now: only plain files are left.
trap 'rm -rf --one-file-system "$root"' EXIT

debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "${PROVE_MIRROR:-http://deb.debian.org/debian}"

# How this machine reaches the registries: resolver, proxies, certificate authorities, npm's and pip's settings.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
apt-config dump | grep -i '^Acquire::.*proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
cp -a /usr/local/share/ca-certificates "$root/usr/local/share/"
chroot "$root" update-ca-certificates
[ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
settings=(HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
settings+=("npm_config_registry=$(npm config get registry)")
for name in CI http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
  NODE_EXTRA_CA_CERTS SSL_CERT_FILE PIP_CERT PIP_INDEX_URL; do
  [ -z "${!name:-}" ] || settings+=("$name=${!name}")
done

# Node as from nodejs.org, and the npm that comes with it.
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x64 ;; esac
npm install --prefix "$root/opt/node" --no-audit --no-fund --ignore-scripts \
  "node-linux-$arch@${PROVE_NODE:-20}" npm@10
ln -s "../../../opt/node/node_modules/node-linux-$arch/bin/node" "$root/usr/local/bin/node"
ln -s ../../../opt/node/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../../../opt/node/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"

# A package's service must not start: there is no init in here.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"

git clone --quiet --no-hardlinks "$checkout" "$root/root/aws-hmac"
echo "prove-root.sh: $suite, Node $(chroot "$root" node --version), commit $(git -C "$checkout" rev-parse --short HEAD)"

# Namespaces for mounts and processes: whatever was mounted or still runs in there ends with the command.
# shellcheck disable=SC2016
unshare --mount --pid --fork --kill-child --propagation private -- bash -euc '
  root=$1; shift
  mount --bind "$root" "$root" # unshare, in there, wants / to be a mount
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/tmp"
  chroot "$root" env -i -C /root/aws-hmac "$@" </dev/null
' prove-root "$root" "${settings[@]}" "$@"
