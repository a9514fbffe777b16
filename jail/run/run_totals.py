"""The summary of a run: what its flows add up to, as one sentence. No Django."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from flows.display.units import count, percent, plural, usd
from flows.figures.run_sums import RunSums, run_sums
from providers.reading.database_reader import Read
from providers.reading.plain_reader import reading

WAIT_S: Final = 2.0
"""For flows that are still being stored when the command has ended."""
_SETTLE_S: Final = 0.3
_POLL_S: Final = 0.05


def summary(run: str, database: Mapping[str, Any]) -> str:
    """Return the sentence about the run's flows, "" where none came through.

    Waits a moment for the flows that are just being stored.

    Args:
        database: an entry of Django's `DATABASES`.

    Raises:
        UnreadableDatabase: the database cannot be read.
    """
    with reading(database) as read:
        totals = _settled(read, run)
    return sentence(totals) if totals.requests else ""


def _settled(read: Read, run: str) -> RunSums:
    """Return the totals once no flow of the run is open and their number has settled."""
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        totals = run_sums(read, run)
        if waited > WAIT_S or (not totals.running and waited > _SETTLE_S):
            return totals
        time.sleep(_POLL_S)


def sentence(totals: RunSums) -> str:
    """Return the totals in words.

    "3 requests, 1.2 k tokens in, 56 out, 91 % from the cache, $0.012, 1 error"
    """
    parts = [plural(totals.requests, "request")]
    if totals.input_tokens is not None or totals.output_tokens is not None:
        parts.append(f"{count(totals.input_tokens or 0)} tokens in")
        parts.append(f"{count(totals.output_tokens or 0)} out")
    if totals.cache_share is not None:
        parts.append(f"{percent(totals.cache_share)} from the cache")
    if totals.cost_usd is not None:
        parts.append(usd(totals.cost_usd))
    if totals.failed:
        parts.append(plural(totals.failed, "error"))
    return ", ".join(parts)
