"""One flow of a capture, as the readers of files give it to the importer. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flows.record import FlowRecord


@dataclass(frozen=True, slots=True)
class CapturedFlow:
    """A record, and what it cannot say.

    `columns` are values of the flow's row that a record does not hold; our own files have them.
    """

    record: FlowRecord
    has_time: bool = True
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def lacks_bodies(self) -> bool:
        """True if a body is missing or cut."""
        for side in self.record.sides:
            if side.body_truncated or (side.body is None and side.body_size_bytes):
                return True
        return False
