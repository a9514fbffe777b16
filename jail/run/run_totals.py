"""The summary of a run: what its flows add up to, as one sentence."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

WAIT_S: Final = 2.0
"""For flows that are still being stored when the command has ended."""
_SETTLE_S: Final = 0.3
_POLL_S: Final = 0.05


def summary(run: str, directory: Path) -> str:
    """Return the sentence about the run's flows, "" where none came through.

    Loads Django, and waits a moment for the flows that are just being stored.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ccproxy_site.settings")
    os.environ.setdefault("CCPROXY_ROLE", "cli")
    os.environ["CCPROXY_CONFIG_DIR"] = str(directory)
    import django

    django.setup()
    from flows.queries.sessions import cache_share

    totals = _settled(run)
    if not totals["requests"]:
        return ""
    return sentence(totals, cache_share(totals["cache_read"], totals["cacheable"]))


def _settled(run: str) -> dict[str, Any]:
    """Return the totals once no flow of the run is open and their number has settled."""
    from flows.models import Flow
    from flows.queries.sessions import totals_of
    from flows.reading.sentence import NO_HTTP

    # A connection that passed unread is no request.
    flows = Flow.objects.filter(run_label=run).exclude(method__in=NO_HTTP)
    began = time.monotonic()
    while True:
        totals = totals_of(flows)
        waited = time.monotonic() - began
        is_open = flows.filter(state="live").exists()
        if waited > WAIT_S or (not is_open and waited > _SETTLE_S):
            return totals
        time.sleep(_POLL_S)


def sentence(totals: dict[str, Any], share: float | None) -> str:
    """Return the totals in words.

    "3 requests, 1.2 k tokens in, 56 out, 91 % from the cache, $0.012, 1 error"
    """
    from flows.display.units import count, percent, plural, usd

    parts = [plural(totals["requests"], "request")]
    if totals["input"] is not None or totals["output"] is not None:
        parts.append(f"{count(totals['input'] or 0)} tokens in")
        parts.append(f"{count(totals['output'] or 0)} out")
    if share is not None:
        parts.append(f"{percent(share)} from the cache")
    if totals["cost"] is not None:
        parts.append(usd(totals["cost"]))
    if totals["failed"]:
        parts.append(plural(totals["failed"], "error"))
    return ", ".join(parts)
