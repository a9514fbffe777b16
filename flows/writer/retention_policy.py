"""Limits of the record as a value. No Django."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Limits of the record; None means no limit. Pinned and running flows stay in any case.

    Recorded flows age from their start, imported flows from their import.
    The defaults are those of the settings `flows.retention`. `max_bytes` limits the used part of
    the database (SQLite: pages in use; PostgreSQL: packed bodies).
    """

    max_age_days: float | None
    max_flows: int | None
    max_bytes: int | None
