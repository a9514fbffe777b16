"""Kinds of mitmproxy patches, and the variable that leaves one out. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from providers.base.errors import ConfigError

Why = Literal["speed", "safety", "feature"]

STOCK_VARIABLE: Final = "CCPROXY_STOCK"
"""Environment variable: "speed" leaves the speed patches out, to tell their defects from others."""


def stock_from(environ: Mapping[str, str]) -> frozenset[Why]:
    """Return the kinds of patches that `CCPROXY_STOCK` leaves out.

    Raises:
        ConfigError: an unknown value.
    """
    text = environ.get(STOCK_VARIABLE, "").strip()
    if not text:
        return frozenset()
    # The others are no choice: without them a limit or a feature would be missing.
    if text != "speed":
        raise ConfigError(f"{STOCK_VARIABLE}={text[:40]}: the only value is speed")
    return frozenset({"speed"})
