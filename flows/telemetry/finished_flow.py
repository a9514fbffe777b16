"""A finished flow as the writer hands it to those that measure or show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flows.models import Flow
from flows.record import FlowRecord, Side


class FinishedFlow(NamedTuple):
    """A finished flow, shortly before its row is written.

    `row` has no secrets; `record` does. `readable` returns a side's body without secrets and
    content encoding, b"" without one. `redact` cuts secrets out of a text. What it returned holds
    while `generation` returns the same object.
    """

    record: FlowRecord
    row: Flow
    readable: Callable[[Side], bytes]
    redact: Callable[[str], str]
    generation: Callable[[], object] = object


OnFinished = Callable[[FinishedFlow], None]
"""Called on the writer's thread once a finished flow's row is made; never raises."""
