#!/usr/bin/env bash
# A new Debian in a folder, for what must not lean on this machine. As root.
#   debian-root.sh make FOLDER SUITE ARCH [PACKAGE…]
#     debootstrap's smallest system and the packages; of another architecture only unpacked, as nothing in it runs here
#   debian-root.sh connect FOLDER
#     lets it reach the registries as this machine does: resolver, proxies, certificate authorities, pip's settings
#   debian-root.sh enter FOLDER [--read-only] [--user UID] [--in PATH] [--show FROM TO]… [--bind FROM TO]…
#       [--set NAME=VALUE]… -- COMMAND…
#     runs COMMAND in it, in namespaces of its own: whatever was mounted or still runs in there ends with the command.
#     --show mounts FROM read-only at TO, which must be there; --bind so that it can be written
# DEBIAN_MIRROR: where packages come from (default http://deb.debian.org/debian), DEBIAN_COMPONENTS: which (default main)
set -euo pipefail

[ "$(id -u)" = 0 ] || { echo "debian-root.sh: chroot and mount take root" >&2; exit 1; }
verb=${1:?usage: debian-root.sh make|connect|enter FOLDER …}
root=$(realpath -m "${2:?the folder is missing}")
shift 2

make() {
  local suite=$1 arch=$2 packages
  shift 2
  packages=$(IFS=,; echo "$*")
  set -- --variant=minbase --arch="$arch" --components="${DEBIAN_COMPONENTS:-main}" ${packages:+--include="$packages"}
  [ "$arch" = "$(dpkg --print-architecture)" ] || set -- "$@" --foreign
  debootstrap "$@" "$suite" "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
  [ "$arch" = "$(dpkg --print-architecture)" ] && return
  for archive in "$root"/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$root" --keep-directory-symlink
  done
}

connect() {
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
  if [ -d "$root/etc/apt" ]; then
    apt-config dump | grep -i '^Acquire::.*proxy' >"$root/etc/apt/apt.conf.d/90proxy" || true
  fi
  if [ -x "$root/usr/sbin/update-ca-certificates" ]; then
    cp -a /usr/local/share/ca-certificates "$root/usr/local/share/"
    env -u TMPDIR chroot "$root" update-ca-certificates # our temporary folder is not in there
  elif [ -n "${NODE_EXTRA_CA_CERTS:-}" ]; then
    install -D -m 644 "$NODE_EXTRA_CA_CERTS" "$root$NODE_EXTRA_CA_CERTS"
  fi
  [ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
}

enter() {
  local name mode=rw user=0 place=/ binds=() settings=(HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8)
  settings+=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
  settings+=("npm_config_registry=${npm_config_registry:-$(npm config get registry)}")
  for name in CI http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
    NODE_EXTRA_CA_CERTS SSL_CERT_FILE PIP_CERT PIP_INDEX_URL; do
    [ -z "${!name:-}" ] || settings+=("$name=${!name}")
  done
  while [ $# -gt 0 ]; do
    case $1 in
      --read-only) mode=ro; shift ;;
      --user) user=$2; shift 2 ;;
      --in) place=$2; shift 2 ;;
      --show) binds+=(ro "$2" "$3"); shift 3 ;;
      --bind) binds+=(rw "$2" "$3"); shift 3 ;;
      --set) settings+=("$2"); shift 2 ;;
      --) shift; break ;;
      *) echo "debian-root.sh: $1?" >&2; exit 1 ;;
    esac
  done
  # No program of the root runs but COMMAND: they may be of another machine.
  # shellcheck disable=SC2016
  exec unshare --mount --pid --fork --kill-child --propagation private -- bash -euc '
    root=$1 mode=$2 binds=$3
    shift 3
    mount --bind "$root" "$root" # unshare, in there, wants / to be a mount
    [ "$mode" = rw ] || mount -o remount,bind,ro "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    for ((; binds > 0; binds--)); do
      mount --bind "$2" "$root$3"
      [ "$1" = rw ] || mount -o remount,bind,ro "$root$3"
      shift 3
    done
    "$@"
  ' enter "$root" "$mode" "$((${#binds[@]} / 3))" "${binds[@]}" env -i "${settings[@]}" setpriv --clear-groups \
    unshare --root "$root" --wd "$place" --setgid "$user" --setuid "$user" -- "$@"
}

"$verb" "$@"
