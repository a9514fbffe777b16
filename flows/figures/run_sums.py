"""Sums over the flows of one run, read by plain SQL. No Django.

`flows.queries.sessions.totals_of` adds up the same for pages; a test compares both.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from flows.failure import ERROR_STATE, FIRST_ERROR_STATUS, LIVE_STATE
from flows.lookup_method import NO_HTTP
from providers.reading.database_reader import Read

_NO_HTTP: Final = ", ".join(f"'{method}'" for method in sorted(NO_HTTP))
_FAILED: Final = (
    f"state = '{ERROR_STATE}' OR status_code >= {FIRST_ERROR_STATUS}"
    f" OR (state = '{LIVE_STATE}' AND error <> '')"
)
_SUMS: Final = f"""
SELECT COUNT(*), COUNT(CASE WHEN {_FAILED} THEN 1 END),
  COUNT(CASE WHEN state = '{LIVE_STATE}' THEN 1 END),
  SUM(input_tokens), SUM(output_tokens), SUM(cache_read_tokens),
  SUM(CASE WHEN cache_read_tokens IS NOT NULL THEN input_tokens END), SUM(cost_usd)
FROM flows_flow WHERE run_label = %s AND method NOT IN ({_NO_HTTP})
"""  # noqa: S608  # constants of this module


class RunSums(NamedTuple):
    """Numbers of requests, tokens and US dollars; None where no request reported any."""

    requests: int
    failed: int
    running: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cacheable_tokens: int | None
    """Input of the requests that reported what came from the cache."""
    cost_usd: float | Decimal | None

    @property
    def cache_share(self) -> float | None:
        """Share of the input that came from the cache; None when it is not reported."""
        if self.cache_read_tokens is None or not self.cacheable_tokens:
            return None
        return self.cache_read_tokens / self.cacheable_tokens


def run_sums(read: Read, run: str) -> RunSums:
    """Return the sums of a run. A connection that passed unread is no request.

    Raises:
        UnreadableDatabase: the database is away, or has other tables.
    """
    (row,) = read(_SUMS, [run])
    requests, failed, running, *tokens, cost_usd = row
    # PostgreSQL adds up large integers as decimals.
    inputs, outputs, cache_read, cacheable = (
        value if value is None else int(value) for value in tokens
    )
    return RunSums(requests, failed, running, inputs, outputs, cache_read, cacheable, cost_usd)
