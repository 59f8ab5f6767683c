#!/bin/sh
# The first process of a server's container (server-image.sh): makes /sys and its cgroup tree what systemd needs, then becomes it.
# A host with cgroup v1, or both, shows v1 in here, which systemd refuses since 256.
set -eu
mount --options remount,rw /sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount --options remount,rw /sys/fs/cgroup
else
  umount --recursive /sys/fs/cgroup
  mount --types cgroup2 cgroup2 /sys/fs/cgroup
fi
exec /sbin/init
