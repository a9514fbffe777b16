"""Marks in a client's history, taken out before the client's own vendor reads it."""

from __future__ import annotations
