"""Django settings.

Everything a user tunes while the proxy runs is in the database; see docs/configuration.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ccproxy_site.database_url import database_from_url
from ccproxy_site.env import env_bool, env_secret
from ccproxy_site.frame.theme import UNFOLD as UNFOLD
from ccproxy_site.process.secret_file import read_or_create_secret
from ccproxy_site.roles import Role, apps_of, take_role
from interceptor.config.files.directory import config_dir
from interceptor.config.files.load_settings import load_server_settings
from providers.base.loopback import url_host
from providers.base.private_file import KEY_FILE_NAME

BASE_DIR = Path(__file__).resolve().parent.parent
# A wheel carries the templates inside this package; a checkout has them beside it.
_PACKAGED_TEMPLATES = Path(__file__).resolve().parent / "templates"
TEMPLATES_DIR = _PACKAGED_TEMPLATES if _PACKAGED_TEMPLATES.is_dir() else BASE_DIR / "templates"
CONFIG_DIR = config_dir()
ROLE = take_role(os.environ)
CCPROXY = load_server_settings(CONFIG_DIR, os.environ)
PRODUCTION = env_bool("CCPROXY_PRODUCTION")
DEBUG = env_bool("CCPROXY_DEBUG") and not PRODUCTION

CCPROXY_KEY_FILE = CONFIG_DIR / KEY_FILE_NAME
# Commands and hook paths run code: the console and the API may set them only when the server was
# started so.
CCPROXY_ALLOW_CODE_CONFIG = env_bool("CCPROXY_ALLOW_CODE_CONFIG")

SECRET_KEY = env_secret("CCPROXY_SECRET_KEY") or read_or_create_secret(CONFIG_DIR / "django.key")
ALLOWED_HOSTS = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    url_host(CCPROXY.console.host),
    *CCPROXY.console.hosts,
]
CSRF_TRUSTED_ORIGINS = list(CCPROXY.console.origins)

INSTALLED_APPS = apps_of(ROLE)
# Every role knows if the tables of all applications are up to date.
CCPROXY_MIGRATED_APPS = apps_of(Role.CONSOLE)
CCPROXY_CAN_MIGRATE = ROLE in (Role.CONSOLE, Role.MIGRATION)

MIDDLEWARE = [
    "ccproxy_site.console.guard_middleware.GuardMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "ccproxy_site.console.csp.AdminAwareCSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "providers.audit.acting_middleware.ActingMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "ccproxy_site.urls"
ASGI_APPLICATION = "ccproxy_site.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [TEMPLATES_DIR],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "ccproxy_site.console.notices.ssl_notice",
                "ccproxy_site.console.notices.recording_notice",
            ]
        },
    }
]

DATABASES = {"default": database_from_url(os.environ.get("DATABASE_URL", ""), CONFIG_DIR)}
REDIS_URL = os.environ.get("REDIS_URL", "")
CHANNEL_LAYERS: dict[str, Any] = {
    "default": (
        {"BACKEND": "flows.live.redis_layer.AudienceRedisLayer", "CONFIG": {"hosts": [REDIS_URL]}}
        if REDIS_URL
        else {"BACKEND": "ccproxy_site.process.live_bridge.PagesLayer"}
    )
}
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_TASK_ALWAYS_EAGER = not REDIS_URL
CELERY_RESULT_BACKEND = REDIS_URL or None
CELERY_RESULT_EXPIRES = 600
CELERY_BEAT_SCHEDULE = (
    {"renew logins": {"task": "providers.renew_logins", "schedule": 30.0}} if REDIS_URL else {}
)

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/flows/"

# Every process sets up its own log. Django's would load its page of errors, a tenth of a start.
LOGGING_CONFIG = None

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = ["ccproxy_site.formats"]
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
# The console serves its assets from the packages themselves: no collectstatic step on a user's
# machine.
STATIC_ROOT = os.environ.get("CCPROXY_STATIC_ROOT") or None
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

SESSION_COOKIE_NAME = "ccproxy_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "ccproxy_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024
if PRODUCTION:
    SECURE_SSL_REDIRECT = not env_bool("CCPROXY_BEHIND_TLS_PROXY")
    SECURE_PROXY_SSL_HEADER = (
        ("HTTP_X_FORWARDED_PROTO", "https") if env_bool("CCPROXY_BEHIND_TLS_PROXY") else None
    )
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

SECURE_CSP = {
    "default-src": ["'self'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # Token first: its challenge makes an anonymous call a 401 rather than a 403.
        "ccproxy_site.console.api_tokens.HashedTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["providers.web.json_parser.StrictJSONParser"],
    "EXCEPTION_HANDLER": "providers.web.rest.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ccproxy",
    "DESCRIPTION": "See what your agent really sent, what left the proxy, and who changed it.",
    "VERSION": "0.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Deep links would be links inside of buttons.
    "SWAGGER_UI_SETTINGS": {"deepLinking": False, "defaultModelsExpandDepth": -1},
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAdminUser"],
    "COMPONENT_SPLIT_REQUEST": True,
}
