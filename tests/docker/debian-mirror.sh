#!/usr/bin/env bash
# Prints the Debian archive this machine uses (so that a mirror or proxy keeps working), or Debian's own.
set -eu
mirror=
if command -v apt-get >/dev/null; then
  # shellcheck disable=SC2016  # apt expands these, not the shell
  mirror=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 2>/dev/null | sed -n 's#^Debian|\(.*[^/]\)/*$#\1#p' | head -n 1)
fi
echo "${mirror:-http://deb.debian.org/debian}"
