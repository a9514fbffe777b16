"""The product's version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def product_version() -> str:
    """The installed version, or "dev" from a bare checkout."""
    try:
        return version("ccproxy")
    except PackageNotFoundError:
        return "dev"
