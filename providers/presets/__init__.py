"""Presets: providers that many people use, ready to be added."""

from __future__ import annotations
