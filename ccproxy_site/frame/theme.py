"""Look of the admin: names and colours. Everything is served by this process."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.utils.functional import lazy

_static = lazy(static, str)


# The palette of static/ccproxy_site/shell.css in the theme's steps.
_GREYS = {
    "50": "#fbfbfc",
    "100": "#f1f3f6",
    "200": "#e2e5ea",
    "300": "#cdd2d9",
    "400": "#929ba8",
    "500": "#5b6472",
    "600": "#424a56",
    "700": "#363c45",
    "800": "#2b3038",
    "900": "#101215",
    "950": "#0b0d0f",
}
_BLUES = {
    "50": "#eef4ff",
    "100": "#e4edff",
    "200": "#c7d9ff",
    "300": "#a6c4ff",
    "400": "#82aaff",
    "500": "#4f7fe8",
    "600": "#1d4ed8",
    "700": "#1e42b0",
    "800": "#1e3a8a",
    "900": "#1b2c50",
    "950": "#14203c",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "ccproxy",
    "SITE_HEADER": "ccproxy",
    "SITE_SUBHEADER": "See what your agent sent",
    "SITE_SYMBOL": "lan",
    "SITE_URL": "/flows/",
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: _static("ccproxy_site/icon.svg"),
        }
    ],
    "BORDER_RADIUS": "6px",
    "STYLES": [
        lambda request: _static("ccproxy_site/shell.css"),
        lambda request: _static("ccproxy_site/admin.css"),
    ],
    "DASHBOARD_CALLBACK": "ccproxy_site.console.dashboard.dashboard",
    "GLOBAL_CALLBACK": "ccproxy_site.console.dashboard.every_page",
    "LOGIN": {"form": "ccproxy_site.console.login_form.ThrottledAuthenticationForm"},
    "COLORS": {"base": _GREYS, "primary": _BLUES},
}
