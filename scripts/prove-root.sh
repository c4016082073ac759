#!/usr/bin/env bash
# Proves the two commands on a machine with nothing but Node: a new Debian in a temporary folder.
#   scripts/prove-root.sh SUITE [COMMAND…]      e.g. scripts/prove-root.sh trixie
# Clones the committed state of this checkout into the root and runs COMMAND in it, by default
# `npm run demo && npm test`. Needs root, debootstrap, git and npm; the exit code is COMMAND's.
# PROVE_NODE    major version of Node inside (default 20)
# DEBIAN_MIRROR where the packages come from (default http://deb.debian.org/debian)
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

"$checkout/scripts/debian-root.sh" make "$root" "$suite" "$(dpkg --print-architecture)" ca-certificates
"$checkout/scripts/debian-root.sh" connect "$root"

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

"$checkout/scripts/debian-root.sh" enter "$root" --in /root/aws-hmac -- "$@" </dev/null
