#!/usr/bin/env bash
# To be sourced: make_image TAG RELEASE PACKAGES REQUIREMENTS TARBALL KEY CHANGE... imports the file system of a Debian release as TAG, unless
# it is there with this KEY. The finished file system is kept as TARBALL, so that the second time takes seconds. The calling script
# is called back as `--fill ROOT REQUIREMENTS` with the unpacked system. A CHANGE is one of docker import.
# mmdebstrap rather than debootstrap: the same packages in half the time, and as a tar file.
make_image() {
  local tag=$1 release=$2 packages=$3 requirements=$4 tarball=$5 key=$6 hook lock
  shift 6
  if [ "$(docker image inspect --format '{{index .Config.Labels "base.key"}}' "$tag" 2>/dev/null)" = "$key" ]; then
    return
  fi
  command -v mmdebstrap >/dev/null || { echo "${0##*/}: mmdebstrap is not installed" >&2; exit 3; }
  mkdir -p "${tarball%/*}"
  exec {lock}>"${tarball%/*}/lock-$release"
  flock "$lock" # a second caller waits for the first one's tar file
  if [ ! -s "$tarball" ]; then
    # shellcheck disable=SC2016  # $1 is the folder that mmdebstrap gives to the hook
    hook=$(printf '%q --fill "$1" %q' "$(realpath "$0")" "$requirements")
    rm -f "$tarball.part"
    mmdebstrap --quiet --format=tar --variant=minbase --include="$packages" \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
      --customize-hook="$hook" "$release" "$tarball.part" "$("$(dirname "$(realpath "${BASH_SOURCE[0]}")")/debian-mirror.sh")"
    mv "$tarball.part" "$tarball"
  fi
  docker import --change "LABEL base.key=$key" "${@/#/--change=}" "$tarball" "$tag" >/dev/null
}
