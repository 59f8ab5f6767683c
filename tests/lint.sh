#!/usr/bin/env bash
# Everything that is checked without being run. All checks run, also after one has failed; the last line names those.
# The tools are those of `make setup`, which puts them first on PATH; shellcheck is the machine's, where it has one.
set -u
cd "$(dirname "$0")/.." || exit 1
collection=.venv/collections/ansible_collections/selfhosted/media
failed=

check() { # NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  "$@" || failed="$failed, $name"
  echo "== lint: $name: $((SECONDS - start)) s"
}

shell_scripts() {
  if ! command -v shellcheck >/dev/null; then
    echo "shellcheck is not installed; shell scripts are not checked"
    return
  fi
  # The stand-in's systemctl is Python behind a line of shell.
  git ls-files -coz --exclude-standard | LC_ALL=C xargs -0 awk 'FNR == 1 && /^#!.*(bash|\/sh|env sh)$/ {print FILENAME} {nextfile}' |
    grep -v '^tests/standin/systemctl$' | xargs shellcheck
}

# The name of its temporary folder gets into the pages that it checks, and one name in 37 ends with the _ of a reference.
docs_of_plugins() {
  local lint=(antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all .) said
  said=$("${lint[@]}" 2>&1) && return
  if grep -q 'Unknown target name: "antsibull-docs-' <<<"$said"; then
    "${lint[@]}"
  else
    echo "$said"
    return 1
  fi
}

check "ruff format" ruff format --check .
check "ruff" ruff check .
check "shellcheck" shell_scripts
check "mypy" mypy
check "mypy for Python 3.9" mypy --python-version 3.9 --cache-dir .mypy_cache/targets \
  $collection/plugins/modules $collection/plugins/module_utils
check "ansible-lint" ansible-lint --strict
check "antsibull-docs" docs_of_plugins
check "antsibull-changelog" antsibull-changelog lint
check "ansible-test sanity" env PYTHONPATH=.venv/collections python -m ansible_collections.selfhosted.media.tests.sanity

if [ -n "$failed" ]; then
  echo "lint has failed: ${failed#, }"
  exit 1
fi
