"""`POST /mcp/notify`: an event of another program, kept for a session."""

from __future__ import annotations

import hmac
import logging
from typing import Final

from interceptor.exchange.flow_state import OwnAnswer
from interceptor.notes.note_book import NoteBook
from interceptor.notes.notification import BadNotification, parse_notification
from interceptor.recorder.asking import RecorderAway, RecorderRefused

logger = logging.getLogger(__name__)

SECRET_HEADER: Final = "x-ccproxy-notify-secret"  # noqa: S105  # a name
OK: Final = OwnAnswer(200, b'{"status":"ok"}')
ERROR: Final = OwnAnswer(200, b'{"status":"error"}')
"""The status is always 200: producers are not to care."""


async def take_notification(body: bytes, shown: str, secret: str, notes: NoteBook) -> OwnAnswer:
    """Keep the event in a request's body, if it is one and its sender may send it.

    Args:
        body: the request's, decompressed.
        shown: the secret that the sender shows.
        secret: the one that it has to show; "": none.
        notes: keeps the event.
    """
    if secret and not hmac.compare_digest(secret.encode(), shown.encode("utf-8", "replace")):
        return ERROR
    try:
        await notes.add(parse_notification(body))
    except BadNotification as exc:
        logger.info("a notification is refused: %s", exc)
        return ERROR
    except (RecorderAway, RecorderRefused) as exc:
        logger.warning("a notification is not kept: %s", exc)
        return ERROR
    return OK
