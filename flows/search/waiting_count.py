"""Number of flows that wait for the search index, read by plain SQL. No Django."""

from __future__ import annotations

from typing import Final

from providers.reading.database_reader import Read, UnreadableDatabase

# An index has the flows that wait, so that a large record is not read.
_WAITING: Final = "SELECT COUNT(*) FROM flows_flow WHERE searched IS NULL AND state <> 'live'"


def waiting_flows(read: Read) -> int | None:
    """Return the number of ended flows whose texts are not indexed yet.

    None for a database of an older version, which has no index.
    """
    try:
        return int(read(_WAITING)[0][0])
    except UnreadableDatabase:
        return None
