"""Records of flows to test with."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from flows.record import FlowRecord, SideRecord
from tests.patience import PATIENCE_S

EPOCH = 1_780_000_000.0


def side(
    name: str, body: bytes | None = None, headers: tuple[tuple[str, str], ...] = (), **changes: Any
) -> SideRecord:
    """One side with a body."""
    record = SideRecord(side=name, headers=headers, body=body, body_size_bytes=len(body or b""))  # type: ignore[arg-type]
    return replace(record, **changes)


def flow(flow_id: str = "flow-1", **changes: Any) -> FlowRecord:
    """A finished flow with a request that was forwarded as it came, and an answer."""
    request = (
        b'{"model": "m", "messages": [{"role": "user", "content": "How far is the moon from here,'
        b' roughly?"}]}'
    )
    answer = (
        b'{"type": "message", "content": [{"type": "text", "text": "About 384,400 kilometres on'
        b' average."}]}'
    )
    record = FlowRecord(
        id=flow_id,
        state="done",
        started_at=EPOCH,
        finished_at=EPOCH + 1.5,
        method="POST",
        host="api.anthropic.com",
        path="/v1/messages?beta=true",
        requested_model="m",
        status_code=200,
        sides=(
            side("client", request),
            side("forwarded", request),
            side("upstream", answer),
            side("delivered", answer),
        ),
    )
    return replace(record, **changes)


def live(flow_id: str = "flow-1", **changes: Any) -> FlowRecord:
    """The same flow while it runs: no answer yet."""
    return flow(
        flow_id, state="live", finished_at=None, status_code=None, sides=flow().sides[:2], **changes
    )


def eventually(condition: Any, timeout_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds; fail when it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
