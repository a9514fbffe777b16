"""Work that a request waits for: the flow shows it before it has a route."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str, str], None]


def _nobody(flow_id: str, text: str) -> None:
    """Drop it: nothing is recorded here."""


class ActivityBoard:
    """Notice board of running flows: steps say what takes time, and the record listens."""

    def __init__(self) -> None:
        self.listener: Listener = _nobody

    def tell(self, flow_id: str, text: str) -> None:
        """Say what a flow is busy with, such as "uploading 2 of 3 files"; "" when that ended."""
        self.listener(flow_id, text)
