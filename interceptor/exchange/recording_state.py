"""The proxy's knowledge about the record of its flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

RECORDING_HEADER = "x-ccproxy-recording"
RECORD_NOW = "record=now"
"""Query of /health that has running flows stored soon. As all of /health, it needs no token."""


@dataclass(slots=True)
class RecordingState:
    """Why flows are not stored at the moment; shared by everything that says so."""

    problem: str = ""
    """A sentence, "" while flows are stored."""
    tells_clients: bool = False
    """Responses carry a header while flows are not stored."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Stored flows that wait for `links` and for the `search` index; empty while unknown."""

    positions: Callable[[], tuple[int, int]] | None = None
    """Returns how much this proxy has recorded in its life, in bytes, and how much is stored."""

    hurry: Callable[[], None] = lambda: None
    """Has the states of running flows stored soon, which wait for newer ones."""

    @property
    def header(self) -> str:
        """Value of the header that a response gets now; "" for none."""
        return "no" if self.problem and self.tells_clients else ""
