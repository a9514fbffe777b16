"""Rules of translation that hold for every pair of wire formats."""

from __future__ import annotations
