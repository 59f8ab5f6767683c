#!/usr/bin/env bash
# The tests of what boto3 does for the S3 modules, with the release of one of the *.txt here, or with `current`, that of .venv.
# An old release stands before .venv's own on Python's path (`make boto3-1.20` puts it into .venv/boto3/1.20), for the test and for
# the targets that it has; those run on Python 3.9 where this machine has one, the lowest that is supported.
set -eu
cd "$(dirname "$0")/../.." || exit 1
release=$1
shift

tests=(
  tests/integration/test_boto3_release.py
  tests/unit/plugins/module_utils/test_s3_boto3_release.py
  tests/unit/plugins/module_utils/test_s3_client.py
  tests/unit/plugins/module_utils/test_s3_old_botocore.py
  tests/unit/plugins/module_utils/test_objects_access.py
  tests/unit/plugins/module_utils/test_objects_signing.py::test_a_request_is_what_boto3_sends
  tests/integration/test_s3_bucket.py
  tests/integration/test_s3_content_types.py
  tests/integration/test_s3_cors.py
  tests/integration/test_s3_preflight.py
  # to a service that is AWS by name the engine finds its way by boto3
  'tests/integration/test_media_sync.py::test_there_and_back[moto_server]'
  'tests/integration/test_media_sync.py::test_a_large_file[moto_server]'
  'tests/integration/test_media_sync.py::test_wrong_keys[moto_server-upload]'
  'tests/integration/test_media_verify.py::test_everything_is_there[moto_server]'
  'tests/integration/test_media_verify.py::test_what_cannot_be_read[moto_server]'
)

lowest_python() { # a Python 3.9 that runs: one on PATH, else one of pyenv's
  local candidate
  for candidate in python3.9 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.9.*/bin/python3.9; do
    if candidate=$(command -v "$candidate") && "$candidate" -c '' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

if [ "$release" = current ]; then
  BOTO3_RELEASE=$(sed -n 's/^boto3==//p' requirements-dev.txt)
else
  BOTO3_RELEASE=$(sed -n 's/^boto3==//p' "tests/boto3_releases/$release.txt")
  if [ "$release" = 1.20 ] && python -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then
    echo "boto3 $BOTO3_RELEASE is left out: it needs Python 3.12 or older, and this is $(python --version)"
    exit 0
  fi
  export PYTHONPATH=$PWD/.venv/boto3/$release
  TARGET_PYTHON=$(lowest_python)
  export TARGET_PYTHON
fi
export BOTO3_RELEASE
echo "boto3 $BOTO3_RELEASE, targets on $("${TARGET_PYTHON:-python}" --version)"
exec pytest --quiet --numprocesses=2 --dist=load "${tests[@]}" "$@"
