"""Providers, their credentials and wire formats, and the rules that route requests to them."""

from __future__ import annotations
