"""All settings, in one file. Every environment variable is read here, once, and described in docs/operations.md.

Without any variable the site runs embedded: SQLite, files, and a folder as message broker, all in one data folder.
"""

import os
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF

from evalsite.embedded import folders_create, secret_key_check, secret_key_load
from evalsite.logging import logging_config

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# --- The data folder ------------------------------------------------------------------------------------------------

DATA_DIR = Path(env.str("EVALSITE_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
MEDIA_ROOT = DATA_DIR / "media"
STATIC_ROOT = DATA_DIR / "static"
BROKER_DIR = DATA_DIR / "broker"
INCOMING_DIR = DATA_DIR / "incoming"  # Uploads as they came, until a worker has decoded them; nothing serves them.
TRAINING_DIR = DATA_DIR / "training"  # A folder for each training run: its photos, state, log and samples.
CHECKPOINTS_DIR = DATA_DIR / "checkpoints"  # What finished runs gave, as <name>.safetensors; conditions choose them.

folders_create(DATA_DIR, MEDIA_ROOT, STATIC_ROOT, BROKER_DIR, INCOMING_DIR, TRAINING_DIR, CHECKPOINTS_DIR)

# --- The site -------------------------------------------------------------------------------------------------------

DEBUG = env.bool("EVALSITE_DEBUG", default=False)
SECRET_KEY = env.str("EVALSITE_SECRET_KEY", default="") or secret_key_load(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env.list("EVALSITE_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "evalsite.apps.ResearcherAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "studies",
]

# No GZipMiddleware, here or in a proxy, for what views answer: raters are shown a photo and a sample of equal length,
# and compression would give each a length of its own. Static files are compressed by WhiteNoise, beforehand.
MIDDLEWARE = [
    "evalsite.headers.headers_middleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "evalsite.metrics.MetricsMiddleware",
    "evalsite.logging.RequestLogMiddleware",
    "studies.views.doors.doors_middleware",
    "csp.middleware.CSPMiddleware",
    "studies.views.language.language_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "evalsite.acting.acting_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "evalsite.urls"
WSGI_APPLICATION = "evalsite.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "evalsite" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_USER_MODEL = "studies.Researcher"
LOGIN_URL = "admin:login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("es", "Español"), ("de", "Deutsch"), ("hi", "हिन्दी"), ("pt", "Português")]  # of raters
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database -------------------------------------------------------------------------------------------------------

_database: dict[str, Any] = env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'evalsite.sqlite3'}")
if _database["ENGINE"] == "django.db.backends.sqlite3":
    _database["OPTIONS"] = {
        # WAL lets raters be read to while one vote is written; NORMAL is safe with it and needs one fsync fewer a vote.
        # Its log goes back into the file each 16 MB, not each 4: pages of indexes change often, and go back once.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=4000; "
        "PRAGMA busy_timeout=20000;",
        # A transaction takes the write lock at its start, where SQLite waits, not half-way, where it fails at once.
        "transaction_mode": "IMMEDIATE",
    }
    # Tests use a file as well: browser tests read it from several threads, which one connection in memory cannot serve.
    _database["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    # The last connection that closes writes the whole log back into the file: not after each request.
    _database["CONN_MAX_AGE"] = 60
else:
    _database["CONN_MAX_AGE"] = env.int("EVALSITE_DATABASE_CONNECTION_AGE_S", default=60)
    _database["CONN_HEALTH_CHECKS"] = True
    if _database["ENGINE"] == "django.db.backends.postgresql":
        _database["ENGINE"] = "evalsite.postgresql"
        # The plans of statements that ask for it (studies/selectors/compiled.py) are kept from the first time on.
        _keeps_plans = env.bool("EVALSITE_DATABASE_KEEPS_PLANS", default=True)
        _database["OPTIONS"] = {**_database.get("OPTIONS", {}), "prepare_threshold": 0 if _keeps_plans else None}
DATABASES = {"default": _database}

# --- Files ----------------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "evalsite" / "static"]
# Tables and figures, by the votes that they were made of. The processes of a machine share them; they may be deleted.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "results": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": DATA_DIR / "cache",
        "TIMEOUT": None,
        "OPTIONS": {"MAX_ENTRIES": 2_000},
    },
}

MEDIA_URL = ""  # Nothing in MEDIA_ROOT has an address of its own: a file's name would tell photo from sample.
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "evalsite.static.StaticFilesStorage"},
}
# Pictures in a bucket that speaks S3; nobody but the site reads it, so files have no address of their own there either.
S3_BUCKET = env.str("EVALSITE_S3_BUCKET", default="")
if S3_BUCKET:
    from botocore.config import Config  # of requirements-extras.txt

    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": env.str("EVALSITE_S3_ENDPOINT_URL", default="") or None,
            "region_name": env.str("EVALSITE_S3_REGION", default="") or None,
            "access_key": env.str("EVALSITE_S3_ACCESS_KEY", default="") or None,
            "secret_key": env.str("EVALSITE_S3_SECRET_KEY", default="") or None,
            "default_acl": None,
            "file_overwrite": False,
            "client_config": Config(signature_version="s3v4", connect_timeout=5, read_timeout=30),
        },
    }
WHITENOISE_USE_FINDERS = True  # Static files are served before `collectstatic` as well.

# Uploads. A request's fields are bounded in memory; its files go to disk above 2.5 MB each. Limits on a single photo
# (bytes, pixels, frames) and on what a zip may unpack to are in studies/images.py.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("EVALSITE_UPLOAD_MAX_FIELD_BYTES", default=2_500_000)
DATA_UPLOAD_MAX_NUMBER_FIELDS = env.int("EVALSITE_UPLOAD_MAX_FIELDS", default=2_000)
DATA_UPLOAD_MAX_NUMBER_FILES = env.int("EVALSITE_UPLOAD_MAX_FILES", default=1_000)
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
UPLOAD_MAX_BYTES = 210_000_000  # Of a researcher's whole request: the 200 MB of studies/images.py, and its fields.
FILE_UPLOAD_HANDLERS = [
    "evalsite.uploads.BoundedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
FILE_UPLOAD_PERMISSIONS = 0o640

# --- Raters ---------------------------------------------------------------------------------------------------------

# A session that is not finished keeps its place in the quota and in the balance of pairs for so long: the first once it
# has an answer, the second before.
SESSION_ALIVE_MINUTES = env.int("EVALSITE_SESSION_ALIVE_MINUTES", default=60)
SESSION_UNANSWERED_MINUTES = env.int("EVALSITE_SESSION_UNANSWERED_MINUTES", default=10)

# Mechanical Turk announced its end for September 2026; this is for what speaks its protocol still.
MTURK = env.bool("EVALSITE_MTURK", default=False)

# Where Prolific publishes the keys with which it signs arrivals, for studies that ask for that.
PROLIFIC_JWKS_URL = env.str(
    "EVALSITE_PROLIFIC_JWKS_URL", default="https://api.prolific.com/.well-known/study/jwks.json"
)
# `manage.py prolific_sync` asks here, as this account.
PROLIFIC_API_URL = env.str("EVALSITE_PROLIFIC_API_URL", default="https://api.prolific.com/api/v1")
PROLIFIC_TOKEN = env.str("EVALSITE_PROLIFIC_TOKEN", default="")

# --- Security -------------------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

HTTPS = env.bool("EVALSITE_HTTPS", default=False)
if HTTPS:  # a site that others reach
    secret_key_check(SECRET_KEY)
# Names of our own: another program's cookies of the same host would be taken for ours, and answered with new ones. With
# the prefix, browsers keep a cookie only if this very host has set it over HTTPS.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = (f"{'__Host-' if HTTPS else ''}evalsite-{what}" for what in ("session", "csrf"))
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [
    r"^healthz$",
    r"^readyz$",
    r"^metrics$",
]  # Supervisors ask these from beside the process, without TLS.
SECURE_HSTS_SECONDS = env.int("EVALSITE_HSTS_SECONDS", default=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.bool("EVALSITE_HSTS_SUBDOMAINS", default=False)
CSRF_TRUSTED_ORIGINS = env.list("EVALSITE_TRUSTED_ORIGINS", default=[])
BEHIND_PROXY = env.bool("EVALSITE_BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Tasks ----------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("EVALSITE_BROKER_URL", default="filesystem://")
if CELERY_BROKER_URL == "filesystem://":
    CELERY_BROKER_TRANSPORT = "evalsite.broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR),
        "data_folder_out": str(BROKER_DIR),
        "control_folder": str(BROKER_DIR / "control"),
        "polling_interval": 0.5,
    }
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # Commands to workers would pile up in the folder as files.
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 5}  # No page waits longer for a queue that is away.
# Training waits in a queue of its own, so that a worker can be started for it alone (-Q training), beside one that
# makes samples (-Q celery). A worker that is started without -Q serves both.
CELERY_TASK_QUEUES = {
    name: {"exchange": name, "exchange_type": "direct", "routing_key": name} for name in ("celery", "training")
}
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_ROUTES = {
    "studies.tasks.training_run": {"queue": "training"},
    "studies.tasks.speed_measure": {"queue": "training"},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # A worker waits for its queue as long as need be.
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True  # What a task achieves is a row (a sample is ready, or failed and why), not a result.
# A task counts as done when it ends, not when it begins, and a worker takes one at a time: if a worker dies, Redis
# gives its task to another. (The folder forgets a task that is taken; its rows still say what is missing.)
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- Metrics --------------------------------------------------------------------------------------------------------

METRICS_TOKEN = env.str(
    "EVALSITE_METRICS_TOKEN", default=""
)  # Without it nothing is counted, and /metrics is not there.
METRICS_DIR = Path(env.str("EVALSITE_METRICS_DIR", default=str(DATA_DIR / "metrics"))).resolve()
if METRICS_TOKEN:
    folders_create(METRICS_DIR)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)  # prometheus-client looks for it nowhere else.

# --- Logging --------------------------------------------------------------------------------------------------------

LOGGING = logging_config(
    level=env.str("EVALSITE_LOG_LEVEL", default="INFO").upper(),
    log_format=env.str("EVALSITE_LOG_FORMAT", default="console", choices=("console", "json")),
)
LOGGING_CONFIG = "evalsite.logging.configure"
