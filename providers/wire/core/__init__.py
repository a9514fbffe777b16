"""Neutral types, the interface of a wire format, JSON and server-sent events."""

from __future__ import annotations
