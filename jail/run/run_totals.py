"""The summary of a run: what its flows add up to, as one sentence. No Django."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from flows.display.units import count, percent, plural, usd
from flows.figures.run_sums import RunSums, run_sums
from providers.reading.database_reader import Read
from providers.reading.plain_reader import reading

WAIT_S: Final = 2.0
"""For flows that still run when the command has ended, or whose record is unknown."""
STORE_S: Final = 15.0
"""For flows that are still being stored. A machine that does other things may be slow."""
_SETTLE_S: Final = 0.3
_POLL_S: Final = 0.05


type IsStored = Callable[[], bool | None]
"""See `RecordWatch.is_stored`."""


def summary(run: str, database: Mapping[str, Any], is_stored: IsStored) -> str:
    """Return the sentence about the run's flows, "" where none came through.

    Waits for the flows that are just being stored.

    Args:
        run: name of the run.
        database: an entry of Django's `DATABASES`.
        is_stored: tells whether what was recorded until its first call is stored.

    Raises:
        UnreadableDatabase: the database cannot be read.
    """
    with reading(database) as read:
        totals = _settled(read, run, is_stored)
    return sentence(totals) if totals.requests else ""


def _settled(read: Read, run: str, is_stored: IsStored) -> RunSums:
    """Return the totals once all flows of the run are stored and none is open."""
    began = time.monotonic()
    while True:
        # Asked first: what it says is true of the rows that are read then.
        known = is_stored()
        totals = run_sums(read, run)
        waited = time.monotonic() - began
        # A proxy records a request when it has run for a moment: the first may be on its way.
        is_settled = waited > _SETTLE_S or (known is True and totals.requests > 0)
        if known is False:
            is_over = waited > STORE_S
        else:
            is_over = waited > WAIT_S or (is_settled and not totals.running)
        if is_over:
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
