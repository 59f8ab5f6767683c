# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the stand-in, read from the environment and .env as BookWyrm reads its own.

One code base plays several releases: VERSION (a file in the working folder; before 0.7 a line of this module, which
make_instance.py writes) decides which behaviour is shown.
"""

from pathlib import Path
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv

env = FileAwareEnv()
env.read_env()
DOMAIN = env("DOMAIN")

VERSION = Path("VERSION").read_text(encoding="utf-8").strip()
RELEASE = tuple(int(part) for part in VERSION.split("."))

BASE_DIR = Path(__file__).resolve().parent.parent
STATIC_ROOT = str(BASE_DIR / env("STATIC_ROOT", "static"))
MEDIA_ROOT = str(BASE_DIR / env("MEDIA_ROOT", "images"))
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PAGE_LENGTH = env.int("PAGE_LENGTH", 15)
# the mail settings are required, as they are in BookWyrm
EMAIL_HOST = env("EMAIL_HOST")
EMAIL_HOST_USER = env("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env("EMAIL_HOST_PASSWORD")

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env("SECRET_KEY", None)
if not DEBUG and SECRET_KEY in [None, "7(2w1sedok=aznpq)ta1mc4i%4h=xx@hxwx*o57ctsuml0x%fr"]:
    raise ImproperlyConfigured("SECRET_KEY has to be set to a value of your own")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["*"])

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "bookwyrm",
    "storages",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]
if RELEASE >= (0, 5, 5):  # no Content-Security-Policy before
    MIDDLEWARE.append("csp.middleware.CSPMiddleware")
ROOT_URLCONF = "bookwyrm.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    },
]
WSGI_APPLICATION = "bookwyrm.wsgi.application"
AUTH_USER_MODEL = "bookwyrm.User"
LANGUAGE_CODE = env("LANGUAGE_CODE", "en-us")
TIME_ZONE = "UTC"
USE_TZ = True


def redis_url(name: str, host: str) -> str:
    """The URL of one of the two Redis servers."""
    password = quote(env(f"REDIS_{name}_PASSWORD", ""))
    host, port = env(f"REDIS_{name}_HOST", host), env.int(f"REDIS_{name}_PORT", 6379)
    return env(f"REDIS_{name}_URL", f"redis://:{password}@{host}:{port}/{env.int(f'REDIS_{name}_DB_INDEX', 0)}")


REDIS_ACTIVITY_URL = redis_url("ACTIVITY", "localhost")
REDIS_BROKER_URL = redis_url("BROKER", "redis_broker")
CACHE_KEY_PREFIX = "django_cache" if RELEASE >= (0, 8, 5) else ""
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_ACTIVITY_URL,
        "KEY_PREFIX": CACHE_KEY_PREFIX,
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"

# The stand-in keeps SQLite where BookWyrm has PostgreSQL.
DATABASE_FILE = Path(env("STANDIN_DB", str(BASE_DIR / "db" / "bookwyrm.sqlite3")))
DATABASE_FILE.parent.mkdir(parents=True, exist_ok=True)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATABASE_FILE,
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}

ENABLE_THUMBNAIL_GENERATION = env.bool("ENABLE_THUMBNAIL_GENERATION", False)
THUMBNAILS = env.int("STANDIN_THUMBNAILS", 2)
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("DATA_UPLOAD_MAX_MEMORY_MiB", 100) << 20

PORT = env.int("PORT", 80)
LOCAL = DOMAIN.partition(":")[0] in ("localhost", "127.0.0.1")  # BookWyrm knows localhost only
NETLOC = f"{DOMAIN}:{PORT}" if LOCAL and ":" not in DOMAIN else DOMAIN
if RELEASE >= (0, 8, 0):
    PROTOCOL = "http" if LOCAL else "https"
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
else:
    PROTOCOL = "https" if env.bool("USE_HTTPS", not DEBUG and RELEASE >= (0, 4, 0)) else "http"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PROTOCOL == "https"
BASE_URL = f"{PROTOCOL}://{NETLOC}"
CSRF_TRUSTED_ORIGINS = [BASE_URL]

CSP_ADDITIONAL_HOSTS = env.list("CSP_ADDITIONAL_HOSTS", []) if RELEASE >= (0, 6, 0) else []
CSP_INCLUDE_NONCE_IN = ["script-src"]
USE_S3 = env.bool("USE_S3", False)

if USE_S3:
    AWS_ACCESS_KEY_ID = env("AWS_ACCESS_KEY_ID")
    AWS_SECRET_ACCESS_KEY = env("AWS_SECRET_ACCESS_KEY")
    AWS_STORAGE_BUCKET_NAME = env("AWS_STORAGE_BUCKET_NAME")
    AWS_S3_REGION_NAME = env("AWS_S3_REGION_NAME", "")
    if RELEASE >= (0, 7, 2):
        AWS_S3_CUSTOM_DOMAIN = env("AWS_S3_CUSTOM_DOMAIN", None)
        AWS_S3_ENDPOINT_URL = env("AWS_S3_ENDPOINT_URL", None)
    else:  # both are required
        AWS_S3_CUSTOM_DOMAIN = env("AWS_S3_CUSTOM_DOMAIN")
        AWS_S3_ENDPOINT_URL = env("AWS_S3_ENDPOINT_URL")
    AWS_DEFAULT_ACL = env("AWS_DEFAULT_ACL", "public-read") if RELEASE >= (0, 8, 0) else "public-read"
    AWS_S3_OBJECT_PARAMETERS = {"CacheControl": "max-age=86400"}
    S3_SOURCE: str | None
    if RELEASE >= (0, 7, 4):
        AWS_S3_URL_PROTOCOL = env("AWS_S3_URL_PROTOCOL", f"{PROTOCOL}:")
        S3_URL = f"{AWS_S3_URL_PROTOCOL}//{AWS_S3_CUSTOM_DOMAIN}"
        S3_SOURCE = S3_URL if AWS_S3_CUSTOM_DOMAIN else None
    else:  # storage URLs are https whatever the site is; the policy names the bare host
        S3_URL = f"{PROTOCOL if RELEASE >= (0, 4, 0) else 'https'}://{AWS_S3_CUSTOM_DOMAIN}"
        S3_SOURCE = AWS_S3_CUSTOM_DOMAIN
    S3_STORAGE = "storages.backends.s3.S3Storage"
    STORAGES: dict = {
        "default": {
            "BACKEND": S3_STORAGE,
            "OPTIONS": {"location": "images", "default_acl": AWS_DEFAULT_ACL, "file_overwrite": False},
        },
        "staticfiles": {
            "BACKEND": S3_STORAGE,
            "OPTIONS": {"location": "static", "default_acl": AWS_DEFAULT_ACL},
        },
    }
    STATIC_URL = STATIC_FULL_URL = f"{S3_URL}/static/"
    MEDIA_URL = MEDIA_FULL_URL = f"{S3_URL}/images/"
    CSP_DEFAULT_SRC = ["'self'", S3_SOURCE, *CSP_ADDITIONAL_HOSTS]
else:
    MANIFEST = "Manifest" if RELEASE >= (0, 8, 6) else ""
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": f"django.contrib.staticfiles.storage.{MANIFEST}StaticFilesStorage"},
    }
    STATIC_URL, MEDIA_URL = "/static/", "/images/"
    STATIC_FULL_URL, MEDIA_FULL_URL = BASE_URL + STATIC_URL, BASE_URL + MEDIA_URL
    CSP_DEFAULT_SRC = ["'self'", *CSP_ADDITIONAL_HOSTS]
CSP_SCRIPT_SRC = list(CSP_DEFAULT_SRC)

S3_SIGNED_URL_EXPIRY = env.int("S3_SIGNED_URL_EXPIRY", 900)
if RELEASE >= (0, 8, 0) and env.bool("USE_S3_FOR_EXPORTS", False):
    STORAGES["exports"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "location": "exports",
            "default_acl": "private",
            "file_overwrite": False,
            "object_parameters": {"CacheControl": "max-age=86400"},
            "access_key": env("EXPORTS_ACCESS_KEY_ID", env("AWS_ACCESS_KEY_ID")),
            "secret_key": env("EXPORTS_SECRET_ACCESS_KEY", env("AWS_SECRET_ACCESS_KEY")),
            # the inner env() is evaluated first, so both AWS_ names are needed even beside EXPORTS_S3_*
            "region_name": env("EXPORTS_S3_REGION_NAME", env("AWS_S3_REGION_NAME")),
            "endpoint_url": env("EXPORTS_S3_ENDPOINT_URL", env("AWS_S3_ENDPOINT_URL")),
            "custom_domain": env("EXPORTS_S3_CUSTOM_DOMAIN", None),
            "bucket_name": env("EXPORTS_STORAGE_BUCKET_NAME"),
            "querystring_auth": True,
        },
    }
else:
    STORAGES["exports"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": "exports"},
    }
