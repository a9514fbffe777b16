"""Prices of tokens, and model names from the same catalogue."""

from __future__ import annotations
