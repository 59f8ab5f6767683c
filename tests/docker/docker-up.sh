#!/usr/bin/env bash
# docker-up.sh DIR [USER]: prints DOCKER_HOST=... of a Docker daemon that answers. Where none does it starts one of our own,
# with its images in DIR; docker-down.sh DIR ends it. Exits 3 with one line saying why where no daemon can run.
# There is one daemon of ours per machine, since all daemons share docker0 and the iptables chains: a second caller
# with another DIR gets the same one, and the last docker-down.sh ends it. Callers with the same DIR at the same time are
# told apart by USER, which begins with the id of the process that uses the daemon and a dash.
set -eu

dir=$(realpath -m "${1:?usage: docker-up.sh DIR [USER]}")
user=${2:-$(printf %s "$dir" | sha256sum | cut -c1-16)}
# A unix socket's path may have 107 characters, a test's temporary folder alone can be longer: sockets live in /run.
run=/run/media-docker
own=unix://$run/docker.sock

answers() { timeout 20 docker -H "$1" info >/dev/null 2>&1; }
cannot() {
  echo "no Docker daemon here: $*" >&2
  exit 3
}
ready() {
  mkdir -p "$run/users" "$dir"
  echo "$dir" >"$run/users/$user"
  echo "DOCKER_HOST=$own"
  exit 0
}
# A daemon may answer and yet be unable to run a container. Without a registry the smallest image at hand is docker's
# own static docker-init.
runs() {
  local id
  id=$(tar -C "$(dirname "$(command -v docker-init)")" -ch docker-init | docker -H "$own" import -) &&
    docker -H "$own" run --rm "$id" /docker-init --version && docker -H "$own" rmi "$id"
}

command -v docker >/dev/null || cannot "the docker command is not installed (Debian: docker.io)"
default=${DOCKER_HOST:-unix:///var/run/docker.sock}
if [ "$default" != "$own" ] && answers "$default"; then
  echo "DOCKER_HOST=$default"
  exit 0
fi
command -v dockerd >/dev/null || cannot "nothing answers at $default and dockerd is not installed"
[ "$(id -u)" = 0 ] || cannot "nothing answers at $default and starting dockerd needs root"

exec 9>$run.lock
flock 9
if answers "$own"; then
  ready
fi
rm -rf "$run/users"
mkdir -p "$dir"
(umask 077 && mkdir -p "$run")
echo "$dir" >"$run/dir"

# No flag for the storage driver: dockerd takes overlay2 where the file system allows it, else vfs. Without iptables
# (second try) containers still reach the host, and each other unless the machine's own firewall forbids forwarding.
reason=
for flags in "" "--iptables=false --ip6tables=false"; do
  rm -f "$run/docker.pid"
  # shellcheck disable=SC2086  # flags are words
  setsid dockerd --data-root "$dir/data" --exec-root "$run/exec" --pidfile "$run/docker.pid" --host "$own" \
    $flags >"$dir/dockerd.log" 2>&1 </dev/null 9>&- &
  daemon=$!
  for _ in $(seq 300); do # a second is usual; after a crash dockerd first ends what its predecessor left running
    kill -0 "$daemon" 2>/dev/null || break
    if [ -S "$run/docker.sock" ] && answers "$own"; then
      if runs >"$dir/probe.log" 2>&1; then
        ready
      fi
      reason=$(grep -m 1 . "$dir/probe.log")
      break
    fi
    sleep 0.2
  done
  kill "$daemon" 2>/dev/null || true
  wait "$daemon" 2>/dev/null || true
  reason=${reason:-$(grep -aE '^failed to start|level=fatal' "$dir/dockerd.log" | tail -n 1)}
done
rm -rf "$run"
cannot "${reason:-dockerd did not answer within a minute, see $dir/dockerd.log}"
