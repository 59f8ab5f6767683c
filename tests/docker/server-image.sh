#!/usr/bin/env bash
# server-image.sh TAG RELEASE REQUIREMENTS.txt CACHEDIR: an image with the userland of a real server of a Debian release, made
# without any registry: systemd, sshd, sudo for a user `admin`, the distribution's Python with boto3, its Docker with compose
# (not started), redis-server, and base-image.sh's virtualenv /venv. The tar file is kept as base-image.sh's is.
set -eu
here=$(dirname "$(realpath "$0")")

fill() { # ROOT REQUIREMENTS: mmdebstrap calls this script back with the unpacked system
  local root=$1
  "$here/base-image.sh" --fill "$root" "$2"
  install -m 755 "$here/server-start.sh" "$root/usr/local/sbin/start-server"
  echo 'admin ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/admin"
  chroot "$root" sh -ec '
    useradd --create-home --shell /bin/bash admin
    # What the administrator starts, and what a container has no devices for.
    systemctl --quiet disable docker.service docker.socket containerd.service redis-server.service
    systemctl --quiet mask getty.target systemd-udevd.service apt-daily.timer apt-daily-upgrade.timer'
  : >"$root/etc/machine-id" # without the file systemd would take it for a first boot and enable what is disabled
}

if [ "$1" = --fill ]; then
  fill "$2" "$3"
  exit 0
fi
[ $# = 4 ] || { echo "usage: server-image.sh TAG RELEASE REQUIREMENTS.txt CACHEDIR" >&2; exit 2; }

packages=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,procps,iproute2,python3,python3-venv,python3-boto3
packages=$packages,ca-certificates,redis-server,docker.io,docker-compose,iptables
[ "$2" = bookworm ] || packages=$packages,docker-cli # a part of docker.io there
# shellcheck source=tests/docker/make-image.sh
. "$here/make-image.sh"
requirements=$(realpath "$3")
key=$(cat "$0" "$here/base-image.sh" "$here/server-start.sh" "$requirements" | sha256sum | cut -c1-16)
make_image "$1" "$2" "$packages" "$requirements" "$(realpath -m "$4")/$2-$key.tar" "$key" 'CMD ["start-server"]' 'ENV container=docker'
