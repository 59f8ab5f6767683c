#!/usr/bin/env bash
# base-image.sh TAG REQUIREMENTS.txt CACHEDIR: a base image for the test application, made without any registry:
# Debian 12 with Python, redis-server and nginx, and a virtualenv /venv that holds the requirements. Only wheels are
# taken. The finished file system is kept in CACHEDIR, so that the second time takes seconds.
set -eu

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
[ $# = 3 ] || { echo "usage: base-image.sh TAG REQUIREMENTS.txt CACHEDIR" >&2; exit 2; }

# shellcheck source=tests/docker/make-image.sh
. "$(dirname "$(realpath "$0")")/make-image.sh"
requirements=$(realpath "$2")
key=$(cat "$0" "$requirements" | sha256sum | cut -c1-16)
make_image "$1" bookworm python3,python3-venv,ca-certificates,redis-server,nginx-light "$requirements" \
  "$(realpath -m "$3")/base-$key.tar" "$key" 'CMD ["sleep", "infinity"]' \
  'ENV PATH=/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1'
