#!/usr/bin/env bash
# server-image.sh TAG RELEASE REQUIREMENTS.txt CACHEDIR: an image with the userland of a real server of a Debian release, made
# without any registry: systemd, sshd, sudo for a user `admin`, the distribution's Python with boto3, its Docker with compose
# (not started), redis-server, nginx, and base-image.sh's virtualenv /venv. It runs privileged, and kept as base-image.sh's.
set -eu
[ $# = 4 ] || { echo "usage: server-image.sh TAG RELEASE REQUIREMENTS.txt CACHEDIR" >&2; exit 2; }
here=$(dirname "$(realpath "$0")")

fill() { # ROOT REQUIREMENTS: mmdebstrap calls this script back with the unpacked system
  local root=$1
  "$here/base-image.sh" --fill "$root" "$2"
  install -m 755 "$here/server-start.sh" "$root/usr/local/sbin/start-server"
  echo 'admin ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/admin"
  chroot "$root" sh -ec '
    useradd --create-home --shell /bin/bash admin
    # What the administrator starts, and what a container has no devices for.
    systemctl --quiet disable docker.service docker.socket containerd.service redis-server.service nginx.service
    systemctl --quiet mask getty.target systemd-udevd.service apt-daily.timer apt-daily-upgrade.timer'
  : >"$root/etc/machine-id" # without the file systemd would take it for a first boot and enable what is disabled
}

if [ "$1" = --fill ]; then
  fill "$2" "$3"
  exit 0
fi

packages=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,procps,iproute2,python3,python3-venv,python3-boto3
packages=$packages,ca-certificates,redis-server,nginx-light,docker.io,docker-compose,iptables
tag=$1 release=$2 requirements=$(realpath "$3") cache=$(realpath -m "$4")
key=$(cat "$0" "$here/base-image.sh" "$here/server-start.sh" "$requirements" | sha256sum | cut -c1-16)
tarball=$cache/$release-$key.tar

if [ "$(docker image inspect --format '{{index .Config.Labels "base.key"}}' "$tag" 2>/dev/null)" = "$key" ]; then
  exit 0
fi

command -v mmdebstrap >/dev/null || { echo "server-image.sh: mmdebstrap is not installed" >&2; exit 3; }
mkdir -p "$cache"
exec 9>"$cache/lock-$release"
flock 9 # a second caller waits for the first one's tar file
if [ ! -s "$tarball" ]; then
  # shellcheck disable=SC2016  # $1 is the folder that mmdebstrap gives to the hook
  hook=$(printf '%q --fill "$1" %q ""' "$(realpath "$0")" "$requirements")
  rm -f "$tarball.part"
  mmdebstrap --quiet --format=tar --variant=minbase --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="$hook" "$release" "$tarball.part" "$("$here/debian-mirror.sh")"
  mv "$tarball.part" "$tarball"
fi
docker import --change "LABEL base.key=$key" --change 'CMD ["start-server"]' \
  --change 'ENV container=docker' "$tarball" "$tag" >/dev/null
