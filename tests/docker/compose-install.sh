#!/usr/bin/env bash
# compose-install.sh BINDIR [v1|v2]: real docker compose for the tests, both generations or one, from Debian's packages:
#   BINDIR/v1/docker-compose              put BINDIR/v1 on PATH             (docker-compose ...)
#   BINDIR/v2/cli-plugins/docker-compose  set DOCKER_CONFIG=BINDIR/v2       (docker compose ...)
# Prints a line for each: its version and path, or why there is none. Exits 3 if there is neither.
# The machine's own apt sources are not touched. v1 needs the package docker-compose of Debian 12 or Ubuntu 22.04,
# which root gets installed here: it is Python with a dozen dependencies, not one file.
set -eu

bindir=$(realpath -m "${1:?usage: compose-install.sh BINDIR [v1|v2]}")
here=$(dirname "$(realpath "$0")")
release=trixie # the first Debian release whose docker-compose is v2
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
found=0

# Unit tests and tests with containers run at the same time.
mkdir -p "$bindir"
exec 9>"$bindir/.lock"
flock 9

version() { "$@" version --short 2>/dev/null; }

install_v1() {
  local candidate
  mkdir -p "$bindir/v1"
  if [[ $(version /usr/bin/docker-compose) != 1.* ]]; then
    candidate=$(apt-cache policy docker-compose 2>/dev/null | sed -n 's/^ *Candidate: //p')
    [[ $candidate == 1.* ]] || { echo "this machine's apt has no docker-compose 1 (${candidate:-none})"; return 1; }
    [ "$(id -u)" = 0 ] || { echo "installing Debian's docker-compose needs root"; return 1; }
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
      docker-compose >"$bindir/v1/apt.log" 2>&1 || { tail -n 1 "$bindir/v1/apt.log"; return 1; }
  fi
  ln -sfn /usr/bin/docker-compose "$bindir/v1/docker-compose"
}

download_v2() { # into BINDIR/v2: an apt of its own, with no list, state or cache of the machine's
  local apt=$bindir/v2/apt
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
  echo "deb [signed-by=$keyring] $("$here/debian-mirror.sh") $release main" >"$apt/sources.list"
  private_apt() {
    apt-get -q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts="$apt/parts" \
      -o Dir::State="$apt" -o Dir::State::status=/dev/null -o Dir::Cache="$apt/cache" \
      -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" "$@"
  }
  (cd "$apt" && private_apt update && private_apt download docker-compose) >"$bindir/v2/apt.log" 2>&1 &&
    dpkg-deb -x "$apt"/docker-compose_*.deb "$bindir/v2/package" &&
    mv "$bindir/v2/package/usr/libexec/docker/cli-plugins/docker-compose" "$bindir/v2/cli-plugins/" || return 1
  rm -rf "$apt" "$bindir/v2/package"
}

install_v2() {
  local plugin=$bindir/v2/cli-plugins/docker-compose there
  [ ! -x "$plugin" ] || return 0
  mkdir -p "$bindir/v2/cli-plugins"
  there=$(docker info --format '{{range .ClientInfo.Plugins}}{{if eq .Name "compose"}}{{.Path}}{{end}}{{end}}' \
    2>/dev/null | head -n 1)
  if [ -n "$there" ]; then
    ln -s "$there" "$plugin"
    return
  fi
  [ -r "$keyring" ] || { echo "there is no $keyring (package debian-archive-keyring)"; return 1; }
  download_v2 || { grep -E '^(E|W):' "$bindir/v2/apt.log" | tail -n 1; return 1; }
}

for v in ${2:-v1 v2}; do
  if ! why=$("install_$v"); then
    echo "$v: none: ${why:-unknown}"
    continue
  fi
  path=$bindir/v1/docker-compose
  [ "$v" = v1 ] || path=$bindir/v2/cli-plugins/docker-compose
  echo "$v: $(version "$path") $path"
  found=1
done
[ "$found" = 1 ] || exit 3
