"""One call of `POST /mcp/notify`, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

NOTIFY_PATH: Final = "/mcp/notify"
MAX_NOTIFICATION_BYTES: Final = 64 * 1024
MAX_ID_CHARS: Final = 200
_MAX_DEPTH: Final = 20


class BadNotification(Exception):
    """The body is no notification; the message says why."""


@dataclass(frozen=True, slots=True)
class Notification:
    """An event of a task, for a session."""

    task_id: str
    session_id: str
    event: str
    """A JSON object."""
    claude_session_id: str = ""


def parse_notification(body: bytes) -> Notification:
    """Return the notification in a request's body.

    Raises:
        BadNotification: it is too large, no JSON, or lacks a field.
    """
    if len(body) > MAX_NOTIFICATION_BYTES:
        raise BadNotification(f"the body has more than {MAX_NOTIFICATION_BYTES} bytes")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadNotification("the body is no JSON") from None
    if not isinstance(found, dict):
        raise BadNotification("the body is no JSON object")
    event = found.get("event")
    if not isinstance(event, dict) or _depth(event) > _MAX_DEPTH:
        raise BadNotification("event is no object, or nested too deeply")
    return Notification(
        task_id=_id_in(found, "task_id"),
        session_id=_id_in(found, "session_id"),
        event=orjson.dumps(event).decode(),
        claude_session_id=_id_in(found, "claude_session_id", is_optional=True),
    )


def _id_in(found: dict[str, Any], name: str, *, is_optional: bool = False) -> str:
    value = found.get(name)
    if is_optional and value in (None, ""):
        return ""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS or "\0" in value:
        raise BadNotification(f"{name} is no text of 1 to {MAX_ID_CHARS} characters")
    return value


def _depth(value: Any, limit: int = _MAX_DEPTH + 1) -> int:
    """Return how deeply a value is nested, at most `limit`."""
    if limit <= 0 or not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(each, limit - 1) for each in inner), default=0)
