# Boots systemd on a stage, in a cgroup of its own.
#
# usage: boot_systemd.sh ROOT CGROUP
set -eu
mkdir "/sys/fs/cgroup/$2"
echo 0 >"/sys/fs/cgroup/$2/cgroup.procs"
# The stage has no systemd that could register a machine. It has a name of its own all the
# same: folders below /run are called by it.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY
exec systemd-nspawn --quiet --directory="$1" --boot --register=no --keep-unit \
  --private-network --resolv-conf=off --timezone=off --link-journal=no \
  --machine="${2%%/*}" --console=pipe
