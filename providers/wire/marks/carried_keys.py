"""Keys under which the store may have the reasoning of a client's history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from providers.base.names import GOOGLE_GENERATE, OPENAI_CHAT, WireFormatName
from providers.wire.core.ir import JsonObject
from providers.wire.rules.replay import ID_MARKS

MAX_KEYS: Final = 200
"""Keys of the newest calls; a vendor reads the reasoning of the current turn above all."""
_FIELDS: Final = ("tool_calls", "content")


def carried_keys(body: JsonObject, src: WireFormatName, dst: WireFormatName) -> list[str]:
    """Return the keys that the translation of a request will look up, the newest first.

    Chat's clients carry no signed reasoning; long signatures of Google wait under the call's id.
    """
    keys: dict[str, None] = {}
    for calls in _calls(body):
        if src == OPENAI_CHAT:
            keys[f"thinking:{calls[0]}"] = None
        if dst == GOOGLE_GENERATE:
            keys |= dict.fromkeys(f"id:{one}" for one in calls if not _has_mark(one))
        if len(keys) >= MAX_KEYS:
            break
    return list(keys)[:MAX_KEYS]


def _has_mark(call_id: str) -> bool:
    return ID_MARKS[0] in call_id


def _calls(body: JsonObject) -> Iterator[list[str]]:
    """Yield the ids of each message's calls, from the last message on."""
    history = body.get("messages") or body.get("input")
    for message in reversed(history if isinstance(history, list) else []):
        if not isinstance(message, dict):
            continue
        found = [message.get("call_id")] if message.get("type") == "function_call" else []
        for field in _FIELDS:
            parts = message.get(field)
            found += [_id_of(part) for part in parts] if isinstance(parts, list) else []
        if ids := [one for one in found if isinstance(one, str) and one]:
            yield ids


def _id_of(part: Any) -> Any:
    """Return the id of a call: an entry of `tool_calls`, or a `tool_use` block."""
    if not isinstance(part, dict) or part.get("type") not in ("function", "custom", "tool_use"):
        return None
    return part.get("id")
