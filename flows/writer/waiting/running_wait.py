"""Time that the state of a running flow waits for a newer one to replace it. Pure."""

from __future__ import annotations

import time
from typing import Final

from flows.record import FlowRecord

RUNNING_WAIT_S: Final = 5.0
MAX_RUNNING_WAIT_S: Final = 10.0


def running_wait_s(record: FlowRecord) -> float:
    """Return the seconds that a record waits: as long as its flow has run; an ended one not at all.

    Example: a stream of 15 seconds is written at 5 and 12 seconds and at its end. Without the wait
    each of eight states is a transaction.
    """
    if record.state != "live":
        return 0.0
    age_s = time.time() - record.started_at
    return min(MAX_RUNNING_WAIT_S, max(RUNNING_WAIT_S, age_s))
