#!/usr/bin/env bash
# Prints the address under which both this host and every container (of any compose project's network) reach a server
# that listens on the host, e.g. http://172.17.0.1:9000: docker0's. The server must listen there or on 0.0.0.0.
# Docker 20.10 does not tell the gateway of a bridge that it has just made, so then the interface is asked.
set -eu
address=$(docker network inspect bridge --format '{{range .IPAM.Config}}{{println .Gateway}}{{end}}' | grep -m 1 '\.') ||
  address=$(ip -4 -o address show docker0 | sed 's#.* inet \([0-9.]*\)/.*#\1#')
echo "$address"
