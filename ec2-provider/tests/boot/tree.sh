#!/bin/bash
# tree.sh WORD: says after WORD what an instance lacks to boot here, and fails. tree.sh FILE.tar: makes the Debian tree.
set -euo pipefail

if [[ $1 != *.tar ]]; then
  missing=()
  [[ $(uname) == Linux ]] || missing+=(Linux)
  ((EUID == 0)) || missing+=(root)
  type -P mmdebstrap >/dev/null || missing+=("mmdebstrap (apt-get install mmdebstrap debian-archive-keyring)")
  right="the right to make namespaces, mounts and device nodes"
  ((${#missing[@]})) || unshare --mount --net --pid --fork bash -c '
    mount -t cgroup2 cgroup2 /mnt && mount -t tmpfs tmpfs /mnt && mknod /mnt/null c 1 3' 2>/dev/null || missing+=("$right")
  ((${#missing[@]})) || exit 0
  printf -v list '%s, ' "${missing[@]}"
  echo "$1: make rehearse-boot boots an instance as root of a Linux machine; missing here: ${list%, }" >&2
  exit 2
fi

mkdir -p "$(dirname "$1")"
exec 9>"$1.lock"
flock 9 # another one may be making it
[[ ! $1 -nt $0 ]] || exit 0
echo "making the Debian tree that an instance boots from, $1: half a minute to four minutes, once"
# shellcheck disable=SC2016 # apt-get expands it
# From this machine's own mirror of Debian; elsewhere mmdebstrap knows one.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed -n 1p)
mmdebstrap --quiet --variant=minbase --include=systemd-sysv,dbus,python3-venv,curl \
  trixie "${1%.tar}.new.tar" ${mirror:+"$mirror"} 9>&-
mv "${1%.tar}.new.tar" "$1"
