#!/usr/bin/env bash
# molecule.sh SCENARIO...: tests the scenarios whose servers are containers, on the Docker daemon that the other tests use, or have
# started for them. Where none can run it says why, and that is no failure.
set -eu
here=$(dirname "$(realpath "$0")")
cache=${MEDIA_DOCKER_CACHE:-$HOME/.cache/media-docker}

missing() {
  echo "no scenario in containers here: $*"
  exit 0
}
for command in mmdebstrap ssh; do
  command -v "$command" >/dev/null || missing "$command is not installed"
done
# Anything else than status 3 is a fault of ours.
host=$("$here/docker-up.sh" "$cache" "$$-molecule" 2>&1) || { [ $? = 3 ] && missing "$host"; echo "$host"; exit 1; }
trap '"$here/docker-down.sh" "$cache" "$$-molecule"' EXIT
export "${host?}"
for scenario; do
  set -- "$@" --scenario-name "$scenario"
  shift
done
molecule test "$@"
