// Runs a program in a root folder as an engine would in a container: with mounts and processes of its own, as another user.
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";

// Mounts are seen in there only, and end with the program. After the first four, arguments up to -- are mounts: from, to, mode.
const enter = `
root=$1 user=$2 groups=$3 mode=$4; shift 4
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  if [ "$1" = tmpfs ]; then mount -t tmpfs tmpfs "$root$2"; else mount --bind "$1" "$root$2"; fi
  [ "$3" != ro ] || mount -o remount,bind,ro "$root$2"
  shift 3
done
shift
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for name in null zero full random urandom; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
[ "$mode" != ro ] || mount -o remount,bind,ro "$root"
export PATH="$IMAGE_PATH"
unset IMAGE_PATH
# No exec: this shell, which is killed with unshare, takes all in here with it. Who becomes another user is not killed so.
/usr/bin/setpriv --no-new-privs /usr/sbin/chroot --userspec="$user" --groups="$groups" "$root" "$@" && exit 0 || exit $?
`;
const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function makeMountPoint({ from, to }, root) {
  const place = path.join(root, to);
  if (statSync(place, { throwIfNoEntry: false })) return;
  const isFolder = from === "tmpfs" || statSync(from).isDirectory();
  mkdirSync(isFolder ? place : path.dirname(place), { recursive: true });
  if (!isFolder) writeFileSync(place, "");
}

/**
 * The arguments of `unshare`, and its environment, that start `args` in the folder `root`.
 *
 * @param how `mounts`: `from`, a path or "tmpfs", `to`, a path in the root, `mode`, "ro" or "rw"; `user`: uid and gid in numbers;
 * `groups`: further ones; `readOnly`: nothing can be written but to mounts that are "rw"; `isolated`: without a network
 */
export function inside(
  root,
  args,
  { env, mounts = [], user = "0:0", groups = [], readOnly = false, isolated = false },
) {
  for (const mount of mounts) makeMountPoint(mount, root);
  const [uid, gid = uid] = user.split(":");
  const terms = [root, `${uid}:${gid}`, [gid, ...groups].join(","), readOnly ? "ro" : "rw"];
  const all = mounts.flatMap(({ from, to, mode }) => [from, to, mode]);
  const namespaces = ["--mount", "--pid", "--ipc", "--fork", "--kill-child", "--propagation", "private"];
  if (isolated) namespaces.push("--net");
  const { PATH: imagePath = usualPath, ...others } = env;
  return {
    args: [...namespaces, "--", "/bin/sh", "-euc", enter, "enter", ...terms, ...all, "--", ...args],
    env: { HOME: "/", ...others, PATH: process.env.PATH, IMAGE_PATH: imagePath },
  };
}
