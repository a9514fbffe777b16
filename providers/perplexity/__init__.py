"""Calls of Perplexity's web page beside its ask: threads, the library, uploads. No Django."""

from __future__ import annotations
