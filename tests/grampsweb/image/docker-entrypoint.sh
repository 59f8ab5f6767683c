#!/bin/sh
# As the real one: a secret key that stays, tables for the users, then the command.
set -eu
if [ -z "${GRAMPSWEB_SECRET_KEY:-}" ]; then
  mkdir -p /app/secret
  if [ ! -s /app/secret/secret ]; then
    python3 -c 'import secrets; print(secrets.token_urlsafe(32), end="")' >/app/secret/secret
  fi
  GRAMPSWEB_SECRET_KEY=$(cat /app/secret/secret)
  export GRAMPSWEB_SECRET_KEY
fi
if [ ! -e /app/users/users.sqlite ]; then
  python3 -c '
from gramps_webapi.app import create_app
from gramps_webapi.auth import user_db
with create_app().app_context():
    user_db.create_all()'
fi
# Only for tests: with this mark a container starts from the disk alone.
case "$GRAMPSWEB_MEDIA_BASE_DIR" in s3://*)
  if [ -e /app/users/not-on-s3 ]; then echo "not on S3, says the test" >&2; exit 1; fi ;;
esac
exec "$@"
