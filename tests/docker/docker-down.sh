#!/usr/bin/env bash
# docker-down.sh DIR [USER] [--purge]: gives up DIR's, or USER's, use of the daemon that docker-up.sh started. The last one to do so
# removes all its containers and networks and ends it. Images and volumes stay for the next time unless --purge.
# A daemon that was there before docker-up.sh is left alone.
set -eu

dir=$(realpath -m "${1:?usage: docker-down.sh DIR [USER] [--purge]}")
user=${2:-}
[ "$user" != --purge ] || user=
user=${user:-$(printf %s "$dir" | sha256sum | cut -c1-16)}
run=/run/media-docker # as in docker-up.sh

# A stale pid file may name somebody else's process by now (and a dead, not yet reaped process has no exe).
ours() { [[ $(readlink "/proc/$1/exe") == */$2 ]]; }
end() { # PIDFILE NAME
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  ours "$pid" "$2" || return 0
  kill "$pid"
  for _ in $(seq 150); do
    ours "$pid" "$2" || return 0
    sleep 0.2
  done
  kill -9 "$pid"
}
stop() {
  local data init shim
  data=$(cat "$run/dir")
  export DOCKER_HOST=unix://$run/docker.sock
  if timeout 20 docker info >/dev/null 2>&1; then
    # rm -f kills at once; the daemon's own shutdown would give every container ten seconds.
    docker ps -aq | xargs -r docker rm -fv >/dev/null
    docker network prune -f >/dev/null
  fi
  end "$run/docker.pid" dockerd
  # What only a killed daemon leaves: containers with their shims, containerd, and mounts (overlays in data, network
  # namespaces in exec), the deepest first.
  for init in "$run"/exec/containerd/daemon/io.containerd.runtime.v2.task/moby/*/init.pid; do
    shim=$(ps -o ppid= -p "$(cat "$init" 2>/dev/null)" 2>/dev/null | tr -d ' ') || continue
    if ours "$shim" containerd-shim-runc-v2; then
      kill -9 "$(cat "$init")" "$shim"
    fi
  done
  end "$run/exec/containerd/containerd.pid" containerd
  awk '{print $5}' /proc/self/mountinfo | grep -E "^($run|$data)/" | sort -r | xargs -r -n 1 umount -l || true
  ip link delete docker0 2>/dev/null || true
  rm -rf "$run"
}

if [ -d "$run" ]; then
  exec 9>$run.lock
  flock 9
  rm -f "$run/users/$user"
  # A user whose folder or process is gone will never call this.
  for other in "$run"/users/*; do
    folder=$(cat "$other" 2>/dev/null) || continue
    process=$(basename "$other")
    if [ ! -d "$folder" ] || { [[ $process == *-* ]] && [ ! -d "/proc/${process%%-*}" ]; }; then
      rm -f "$other"
    fi
  done
  if [ -n "$(ls "$run/users" 2>/dev/null)" ]; then
    exit 0
  fi
  stop
fi
if [ "${!#}" = --purge ]; then
  rm -rf "$dir/data" "$dir/dockerd.log" "$dir/probe.log"
fi
