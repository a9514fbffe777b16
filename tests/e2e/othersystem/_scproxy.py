"""The module by which Python asks macOS for its proxies: none are set."""

from __future__ import annotations


def _get_proxy_settings() -> dict[str, bool]:
    return {}


def _get_proxies() -> dict[str, str]:
    return {}
