"""Keeps secrets out of everything that is stored, logged or shown. Filled in by value and by name."""

from __future__ import annotations
