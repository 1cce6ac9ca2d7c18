# What a machine stands on: runs as the first process of name spaces of its own, mounts a
# copy of a root file system that forgets what is written, and stays until its standard
# input ends. Then the kernel ends whatever was started here, and the mounts go.
#
# usage: stage.sh ROOT WORK CGROUP
set -eu
mount -t tmpfs -o mode=0755 tmpfs "$2"
mkdir "$2/upper" "$2/scratch" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/scratch" overlay "$2/root"
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$3"
echo ready
exec cat >/dev/null
