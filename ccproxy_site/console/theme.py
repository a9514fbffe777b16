"""Look of the admin: names, colours, sidebar.

Everything is served by this process; dark mode follows the system.
"""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import lazy

_static = lazy(static, str)


def _page(title: str, icon: str, link: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": link}


def _model(title: str, icon: str, name: str) -> dict[str, Any]:
    item = _page(title, icon, reverse_lazy(f"admin:{name}_changelist"))
    return {**item, "permission": _may_view(name)}


def _may_view(name: str) -> Any:
    app, _, model = name.partition("_")
    return lambda request: request.user.has_perm(f"{app}.view_{model}")


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
    "STYLES": [lambda request: _static("ccproxy_site/admin.css")],
    "DASHBOARD_CALLBACK": "ccproxy_site.console.dashboard.dashboard",
    "GLOBAL_CALLBACK": "ccproxy_site.console.dashboard.every_page",
    "LOGIN": {"form": "ccproxy_site.console.login_form.ThrottledAuthenticationForm"},
    "COLORS": {
        "primary": {
            "50": "oklch(97.1% .013 230)",
            "100": "oklch(93.6% .032 230)",
            "200": "oklch(88.5% .062 230)",
            "300": "oklch(80.8% .1 231)",
            "400": "oklch(70.4% .13 233)",
            "500": "oklch(60.7% .14 238)",
            "600": "oklch(52.7% .13 242)",
            "700": "oklch(45.5% .115 243)",
            "800": "oklch(39.4% .095 243)",
            "900": "oklch(34.6% .075 245)",
            "950": "oklch(25.8% .06 248)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {
                "title": "Traffic",
                "items": [
                    _page("Dashboard", "speed", reverse_lazy("admin:index")),
                    _page("Flows", "swap_vert", "/flows/"),
                    _page("Sessions", "forum", "/flows/sessions/"),
                ],
            },
            {
                "title": "Configuration",
                "items": [
                    _model("Providers", "hub", "providers_provider"),
                    {
                        **_page(
                            "Credentials", "lock_clock", reverse_lazy("admin:providers_auth_board")
                        ),
                        "permission": _may_view("providers_provider"),
                    },
                    _model("Rules", "alt_route", "providers_transformrule"),
                    _model("Hooks", "conversion_path", "interceptor_hooksetting"),
                    _model("Shapes", "fingerprint", "shapes_shape"),
                    _model("Client tokens", "key", "interceptor_clienttoken"),
                ],
            },
            {
                "title": "System",
                "items": [
                    _model("Status", "monitor_heart", "interceptor_interceptorstatus"),
                    _model("Audit log", "history", "providers_auditentry"),
                    _page("API docs", "api", reverse_lazy("api-docs")),
                    _model("API tokens", "vpn_key", "authtoken_tokenproxy"),
                    _model("Users", "person", "auth_user"),
                    _model("Groups", "group", "auth_group"),
                ],
            },
        ],
    },
}
