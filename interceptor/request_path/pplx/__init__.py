"""Responses about Perplexity that the proxy gives itself."""

from __future__ import annotations
