# Becomes the init of a root file system, as the first process of name spaces of its own.
#
# usage: boot_chroot.sh ROOT CGROUP
set -eu
mkdir "/sys/fs/cgroup/$2"
echo 0 >"/sys/fs/cgroup/$2/cgroup.procs"
# A machine that has gone down has left it read-only.
mount -o remount,rw "$1"
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=0755 tmpfs "$1/run"
mkdir "$1/run/lock"
mount -t tmpfs -o mode=0755 tmpfs "$1/dev"
mkdir "$1/dev/shm" "$1/dev/pts"
mknod -m 666 "$1/dev/null" c 1 3
mknod -m 666 "$1/dev/zero" c 1 5
mknod -m 666 "$1/dev/random" c 1 8
mknod -m 666 "$1/dev/urandom" c 1 9
mknod -m 666 "$1/dev/tty" c 5 0
# What init says to a console is nobody's; its table sends what scripts say to a file.
mknod -m 600 "$1/dev/console" c 1 3
cd "$1"
exec chroot . /sbin/init
