"""Addons for responses of Perplexity."""

from __future__ import annotations
