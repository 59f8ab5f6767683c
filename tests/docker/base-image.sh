#!/usr/bin/env bash
# base-image.sh TAG REQUIREMENTS.txt CACHEDIR: a base image for the test application, made without any registry:
# Debian 12 with Python, redis-server and nginx, and a virtualenv /venv that holds the requirements. Only wheels are
# taken. The finished file system is kept in CACHEDIR, so that the second time takes seconds.
# mmdebstrap rather than debootstrap: the same packages in half the time, and as a tar file.
set -eu
[ $# = 3 ] || { echo "usage: base-image.sh TAG REQUIREMENTS.txt CACHEDIR" >&2; exit 2; }

fill() { # ROOT REQUIREMENTS: mmdebstrap calls this script back with the unpacked system
  local root=$1 requirements=$2 site
  # pip's configuration (environment, pip.conf, certificates) is the host's and must not get into the image, while
  # wheels have to be chosen for the image's Python: so that Python downloads them as a process of the host, by its
  # own loader and libraries, and a pip without network and without configuration installs them in the chroot.
  site=$(echo "$root"/usr/lib/*-linux-gnu)
  PYTHONHOME=$root/usr PYTHONPATH=$(echo "$root"/usr/share/python-wheels/pip-*.whl) \
    "$(echo "$root"/lib*/ld-linux-*.so.*)" --library-path "$root/lib/${site##*/}:$site" "$root/usr/bin/python3" \
    -m pip download -qq --only-binary=:all: --dest "$root/wheels" -r "$requirements"
  cp "$requirements" "$root/wheels/requirements.txt"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" sh -ec '
    python3 -m venv /venv
    /venv/bin/pip install -q --isolated --no-index --find-links /wheels -r /wheels/requirements.txt
    # A container that is made anew has nothing compiled but what the image has, and the import changes the times of files.
    /venv/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /venv/lib >/dev/null || true'
  # Without mime.types Python does not know fonts' and webp's content types: a fault of real containers to test against.
  rm -rf "$root/wheels" "$root/etc/mime.types" "$root/etc/resolv.conf" "$root/etc/hostname"
}

if [ "$1" = --fill ]; then
  fill "$2" "$3"
  exit 0
fi

tag=$1 requirements=$(realpath "$2") cache=$(realpath -m "$3")
here=$(dirname "$(realpath "$0")")
key=$(cat "$0" "$requirements" | sha256sum | cut -c1-16)
tarball=$cache/base-$key.tar

if [ "$(docker image inspect --format '{{index .Config.Labels "base.key"}}' "$tag" 2>/dev/null)" = "$key" ]; then
  exit 0
fi

command -v mmdebstrap >/dev/null || { echo "base-image.sh: mmdebstrap is not installed" >&2; exit 3; }
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # a second caller waits for the first one's tar file
if [ ! -s "$tarball" ]; then
  # shellcheck disable=SC2016  # $1 is the folder that mmdebstrap gives to the hook
  hook=$(printf '%q --fill "$1" %q' "$(realpath "$0")" "$requirements")
  rm -f "$tarball.part"
  mmdebstrap --quiet --format=tar --variant=minbase \
    --include=python3,python3-venv,ca-certificates,redis-server,nginx-light \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="$hook" bookworm "$tarball.part" "$("$here/debian-mirror.sh")"
  mv "$tarball.part" "$tarball"
fi
docker import --change "LABEL base.key=$key" --change 'CMD ["sleep", "infinity"]' \
  --change 'ENV PATH=/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1' \
  "$tarball" "$tag" >/dev/null
