"""Names, errors and small values that need no Django."""

from __future__ import annotations
