#!/usr/bin/env bash
# Builds the documentation site into build/docs: the guides of docs/docsite, and the reference of plugins and roles that
# antsibull-docs makes. Without a network, and without warnings: each is an error. `make docs` sets up what it needs.
set -eu
cd "$(dirname "$0")/.."
build=build/docs

rm -rf "$build"
mkdir -p "$build/rst"
# antsibull-docs refuses a folder that others may write to
chmod go-w "$build/rst"
antsibull-docs --config-file docs/antsibull-docs.cfg collection --use-current --squash-hierarchy --fail-on-error --dest-dir "$build/rst" selfhosted.media
# The site begins with a page of its own; the collection's, with the lists of plugins and roles, is one of the others.
mv "$build/rst/index.rst" "$build/rst/reference.rst"
cp -r docs/docsite/images "$build/rst/"
{
  cat docs/index.rst
  python docs/menus.py "$build/rst"
} >"$build/rst/index.rst"
sphinx-build --quiet -W --keep-going --jobs auto -c docs -b html "$build/rst" "$build/html"
echo "the documentation is in $build/html/index.html"
