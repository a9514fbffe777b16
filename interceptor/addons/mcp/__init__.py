"""Addons for what agents ask of ccproxy itself, not of a provider."""

from __future__ import annotations
