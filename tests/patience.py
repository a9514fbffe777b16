"""Limits of waiting, for machines that are slow: what works never waits that long."""

from __future__ import annotations

from typing import Final

PATIENCE_S: Final = 180.0
