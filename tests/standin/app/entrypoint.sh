#!/bin/sh
# Prepares the site when it is the web server that starts; runs anything else as it is.
set -e

if [ "$1" = "gunicorn" ]; then
    # for tests of a change-over that fails: a web that never comes up
    if [ "$USE_S3" = true ] && [ -e images/web-does-not-start ]; then
        echo "told not to start" >&2
        exit 1
    fi
    python manage.py migrate
    python manage.py initdb
    python manage.py compile_themes
    python manage.py collectstatic --no-input
fi

exec "$@"
