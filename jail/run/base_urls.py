"""Base URLs by which a command's SDKs reach the proxy. No Django.

A command keeps its own key or login: its base URLs lead to the vendors' own hosts. Where its key is
a sentinel key, the base URL is the proxy's own, and the key names the provider.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, NamedTuple

from interceptor.access.base_path import PREFIX, RUN_PREFIX
from providers.auth.sentinel import provider_of

_ODD = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME_CHARS: Final = 40
_PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


class Vendor(NamedTuple):
    """A vendor's provider and host, the variables of its keys, and those of its base URLs."""

    provider: str
    host: str
    keys: tuple[str, ...]
    urls: tuple[tuple[str, str], ...]
    """(variable, what follows the provider's host in it)."""


ANTHROPIC: Final = Vendor(
    "anthropic",
    "api.anthropic.com",
    ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    (("ANTHROPIC_BASE_URL", ""), ("ANTHROPIC_API_BASE", "")),
)
OPENAI: Final = Vendor(
    "openai",
    "api.openai.com",
    ("OPENAI_API_KEY", "CODEX_API_KEY"),
    (("OPENAI_BASE_URL", "/v1"), ("OPENAI_API_BASE", "/v1")),
)
GOOGLE: Final = Vendor(
    "google",
    "generativelanguage.googleapis.com",
    ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    (("GOOGLE_GEMINI_BASE_URL", ""), ("GEMINI_API_BASE", "/v1beta")),
)
ALL: Final = (ANTHROPIC, OPENAI, GOOGLE)
"""The providers of a new installation whose SDKs read a base URL from the environment."""


@dataclass(frozen=True, slots=True)
class Route:
    """Way of the command's requests to their providers.

    `proxy_url` has no path, `run` names the run in the record ("": none), `token` is a client
    token ("": none is needed).
    """

    proxy_url: str
    run: str = ""
    own_credentials: bool = True
    token: str = ""

    def base_url(self, vendor: Vendor, environ: Mapping[str, str]) -> str:
        """Return the address that stands for the vendor's host."""
        url = f"{self.proxy_url}{RUN_PREFIX}{self.run}" if self.run else self.proxy_url
        if not self.own_credentials or has_sentinel_key(vendor, environ):
            return url
        token = f".{self.token}" if self.token else ""
        return f"{url}{PREFIX}{vendor.provider}{token}"


def has_sentinel_key(vendor: Vendor, environ: Mapping[str, str]) -> bool:
    """Return True where one of the vendor's keys in the environment is a sentinel key."""
    return any(provider_of(environ.get(name, "")) is not None for name in vendor.keys)


def kept_urls(
    route: Route, environ: Mapping[str, str], vendors: tuple[Vendor, ...] = ALL
) -> list[str]:
    """Return the variables that stay as they are: the user's own base URLs of other hosts.

    The key beside such a URL belongs to that host. At the vendor's it would be shown to a stranger.
    """
    kept: list[str] = []
    for vendor in vendors:
        if not route.own_credentials or has_sentinel_key(vendor, environ):
            continue
        ours = (route.proxy_url, f"https://{vendor.host}")
        kept += [
            name
            for name, _ in vendor.urls
            if (found := environ.get(name)) and not _begins_with(found, ours)
        ]
    return kept


def _begins_with(url: str, origins: tuple[str, ...]) -> bool:
    """Return True where the URL is below one of the origins."""
    return any(url == origin or url.startswith(f"{origin}/") for origin in origins)


def proxy_variables(
    route: Route, environ: Mapping[str, str], vendors: tuple[Vendor, ...] = ALL
) -> dict[str, str]:
    """Return the variables that point SDKs at the proxy.

    A vendor whose base URL the user has set to another host gets none: its key is for that host.
    """
    variables = {}
    kept = kept_urls(route, environ)
    for vendor in vendors:
        if any(name in kept for name, _ in vendor.urls):
            continue
        base = route.base_url(vendor, environ)
        for name, path in vendor.urls:
            variables[name] = base + path
    if any(environ.get(name) for name in _PROXY_VARIABLES):
        # Otherwise the SDK would ask the company's proxy for our loopback address.
        for name in ("NO_PROXY", "no_proxy"):
            variables[name] = ",".join(filter(None, (environ.get(name), "127.0.0.1", "localhost")))
    return variables


def new_run(command: str) -> str:
    """Return a name for a run: `/usr/bin/claude` → "claude-3f9a21c0"."""
    name = _ODD.sub("-", PurePath(command).name).strip("-_")[:_MAX_NAME_CHARS]
    return f"{name or 'run'}-{secrets.token_hex(4)}"
