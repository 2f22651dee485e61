#!/bin/bash
# A machine of its own: systemd as PID 1 in namespaces, over a Debian tree in memory.
#   unshare --mount --uts --ipc machine.sh TREE FOLDER
# copies FOLDER/files over the tree. Each line of the input boots the machine, anew after a power cut. The end of the input
# ends it: also when the tests are killed. FOLDER/init has the number of its PID 1.
set -euo pipefail
tree=$1 folder=$2 stage=${3:-hold}
root=$folder/root cgroup=$folder/cgroup/todo-boot${folder//\//-}

cut_power() {
  [[ -z ${machine:-} ]] || kill -KILL "$machine" || :
  wait
  # A cgroup can be removed when its last process is gone.
  until [[ ! -d $cgroup ]] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.05; done
}

case $stage in
hold)
  mkdir "$root" "$folder/cgroup"
  mount -t cgroup2 cgroup2 "$folder/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root"
  tar -xf "$tree" -C "$root"
  cp -R "$folder/files/." "$root"
  trap cut_power EXIT
  while read -r; do
    cut_power
    mkdir "$cgroup"
    unshare --mount --pid --fork --kill-child bash "$0" "$tree" "$folder" init </dev/null &
    machine=$!
  done
  ;;
init)
  echo 0 >"$cgroup/cgroup.procs"
  read -r pid _ </proc/self/stat
  echo "$pid" >"$folder/init"
  exec unshare --cgroup bash "$0" "$tree" "$folder" boot
  ;;
boot)
  cd "$root"
  mount -t proc proc proc
  # The kernel's settings are those of the whole computer: systemd would set some of them at boot.
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount -t sysfs -o ro sysfs sys
  # Of the machine's own namespace: where there is none, systemd mounts the computer's cgroups of version 1.
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs dev
  # Not bound from outside: PrivateDevices copies device nodes.
  while read -r name major minor; do
    mknod -m 666 "dev/$name" c "$major" "$minor"
  done <<<$'null 1 3\nzero 1 5\nfull 1 7\nrandom 1 8\nurandom 1 9\ntty 5 0'
  ln -s pts/ptmx dev/ptmx
  pivot_root . mnt
  umount -l /mnt
  mount --make-rshared /
  # What could reach the computer: its clock, its modules, its disks.
  exec env -i container=other setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio /lib/systemd/systemd
  ;;
esac
