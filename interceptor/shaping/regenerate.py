"""Inner hook: fresh ids instead of those that were captured.

An id that the client supplied itself stays: it groups the requests of the client's own session.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook

ID_HEADERS: Final = ("x-claude-code-session-id", "x-client-request-id")
_PROMPT_ID_DIGITS: Final = 13


@hook(
    stage=Stage.OUTBOUND,
    reads={"body", *(f"header:{name}" for name in ID_HEADERS)},
    writes={"body", *(f"header:{name}" for name in ID_HEADERS)},
)
def regenerate(ex: Exchange) -> None:
    """Replace the captured ids of prompt, session and request by fresh ones."""
    body = ex.body.peek()
    incoming = ex.incoming
    if isinstance(body, dict):
        if "user_prompt_id" in body:
            # 13 digits are 52 bits; the last of the 14 that 7 bytes give is cut off.
            body["user_prompt_id"] = secrets.token_hex(7)[:_PROMPT_ID_DIGITS]
        _renew_session(body, incoming)
    for name in ID_HEADERS:
        if name not in ex.headers:
            continue
        own = incoming.headers.get(name) if incoming else None
        ex.headers.set(name, own or str(uuid4()))


def _renew_session(body: dict[str, Any], incoming: Exchange | None) -> None:
    """Replace the session in `metadata.user_id`, unless the client sent one."""
    user_id = _user_id(body)
    theirs = _user_id(incoming.body.peek()) if incoming is not None else None
    if user_id is None or user_id == theirs:
        return
    try:
        parts = json.loads(user_id)
    except (ValueError, RecursionError):
        return
    if not isinstance(parts, dict) or not {"device_id", "account_uuid"} & parts.keys():
        return
    parts["session_id"] = str(uuid4())
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    body["metadata"] = {**body["metadata"], "user_id": text}


def _user_id(body: object) -> str | None:
    metadata = body.get("metadata") if isinstance(body, Mapping) else None
    user_id = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    return user_id if isinstance(user_id, str) else None
