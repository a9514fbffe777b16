"""Bodies of `POST /mcp/notify`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interceptor.notes.notification import (
    MAX_NOTIFICATION_BYTES,
    BadNotification,
    Notification,
    parse_notification,
)

GOOD: dict[str, Any] = {"task_id": "t", "session_id": "s", "event": {"summary": "x"}}


def test_a_notification_is_read() -> None:
    assert parse_notification(json.dumps(GOOD).encode()) == Notification(
        "t", "s", '{"summary":"x"}'
    )
    known = {**GOOD, "claude_session_id": "c", "unknown": 1}
    assert parse_notification(json.dumps(known).encode()).claude_session_id == "c"


@pytest.mark.parametrize(
    "change",
    [
        {"task_id": ""},
        {"task_id": 1},
        {"task_id": "x" * 201},
        {"session_id": None},
        {"session_id": "a\0b"},
        {"claude_session_id": 7},
        {"event": "text"},
        {"event": None},
        {"event": {"a": "x" * MAX_NOTIFICATION_BYTES}},
    ],
)
def test_others_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadNotification):
        parse_notification(json.dumps({**GOOD, **change}).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"null", b"{}"])
def test_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadNotification):
        parse_notification(body)


def test_nesting_is_bounded() -> None:
    deep: Any = {}
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(BadNotification, match="nested"):
        parse_notification(json.dumps({**GOOD, "event": deep}).encode())
