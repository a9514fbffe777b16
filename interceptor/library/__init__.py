"""Libraries of Perplexity accounts, for people and their scripts: services and REST."""

from __future__ import annotations
