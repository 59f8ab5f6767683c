#!/bin/sh
# Prepares the site when it is the web server that starts; runs anything else as it is.
set -e

if [ "$1" = "gunicorn" ]; then
    python manage.py migrate
    python manage.py initdb
    python manage.py compile_themes
    python manage.py collectstatic --no-input
fi

exec "$@"
