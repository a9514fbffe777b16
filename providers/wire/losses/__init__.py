"""Losses of a request's fields that have no place in another vendor's format."""

from __future__ import annotations
