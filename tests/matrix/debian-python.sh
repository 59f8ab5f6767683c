#!/usr/bin/env bash
# debian-python.sh VERSION DIR: a Python of a Debian release other than this machine's, into DIR, for those who have no other way
# to one; prints the interpreter's path. It runs where DIR lies, with the release's own libc, and nothing of the machine changes.
# Exits 3 with one line saying why where there is none.
set -eu

version=${1:?usage: debian-python.sh VERSION DIR}
dir=$(realpath -m "${2:?usage: debian-python.sh VERSION DIR}")
here=$(dirname "$(realpath "$0")")
python=$dir/usr/bin/python$version

cannot() {
  echo "$*" >&2
  exit 3
}

case $version in
  3.9) release=bullseye ;;
  3.11) release=bookworm ;;
  3.13) release=trixie ;;
  3.14) release=forky ;;
  *) cannot "no release of Debian has Python $version" ;;
esac
for tool in mmdebstrap patchelf; do
  command -v "$tool" >/dev/null || cannot "$tool is not installed"
done
if [ ! -e "$dir/.ready" ]; then
  rm -rf "$dir" && mkdir -p "$dir"
  # A mirror may be older than its own lists say is allowed; their signature is checked all the same.
  mmdebstrap --quiet --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' --include="python$version,python$version-venv" \
    "$release" "$dir" "$("$here/../docker/debian-mirror.sh")" >"$dir.log" 2>&1 || cannot "$(grep -m 1 ^E: "$dir.log")"
  loader=$(find "$dir/lib" "$dir/usr/lib" -type f -name 'ld-*.so*' 2>/dev/null | head -n 1)
  libraries=$(echo "$dir"/lib/*-linux-gnu "$dir"/usr/lib/*-linux-gnu | tr ' ' '\n' | grep -v '\*' | paste -s -d :)
  patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$python"
  # What is not Python's would only lead whoever walks through the checkout into /proc, or nowhere.
  find "$dir" -mindepth 1 -maxdepth 1 ! -name usr ! -name 'lib*' -exec rm -rf {} +
  # The release's other commands cannot run here, and must not be found before this machine's.
  find "$dir/usr/bin" -mindepth 1 ! -name 'python*' -delete
  find "$dir" -xtype l -delete
  touch "$dir/.ready"
fi
echo "$python"
