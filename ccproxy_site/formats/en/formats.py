"""Dates and times of the admin: in digits, and with their zone, which is UTC on every page."""

from __future__ import annotations

from typing import Final

DATE_FORMAT: Final = "Y-m-d"
DATETIME_FORMAT: Final = "Y-m-d H:i:s e"
