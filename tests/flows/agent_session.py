"""A coding agent's session as it is on the wire: every request repeats the conversation and adds a
turn.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from flows.record import FlowRecord, HookStep, SideRecord
from tests.flows.records import EPOCH, side

_WORDS = (
    "file",
    "line",
    "error",
    "test",
    "value",
    "path",
    "index",
    "body",
    "turn",
    "read",
    "write",
    "import",
    "class",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and its streamed answer."""

    request: bytes
    answer: bytes


class Texts:
    """Pieces of text, one after the other, without end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def take(self, chars: int) -> str:
        """The next piece; no two are alike before the text begins again."""
        if self._at + chars > len(self._text):
            self._at = chars // 2
        self._at += chars
        return self._text[self._at - chars : self._at]


def made_up(size_chars: int = 400_000, seed: int = 7) -> Texts:
    """Words in a random order."""
    chance = random.Random(seed)
    words = [f"{chance.choice(_WORDS)}{chance.randrange(3000)}" for _ in range(size_chars // 8)]
    return Texts(" ".join(words))


def recorded(corpus: Path) -> Texts:
    """The texts of the recorded traffic: prompts, answers, tool results."""
    found: dict[str, None] = {}
    for path in sorted((corpus / "wire").glob("*/*.json")):
        found.update(dict.fromkeys(_strings(json.loads(path.read_bytes()))))
    return Texts("\n".join(found))


def session(
    texts: Texts, turns: int, start_bytes: int, frame: dict[str, Any] | None = None
) -> Iterator[Turn]:
    """`turns` turns; the first request has `start_bytes`.

    `frame`: a request to take system prompt and tools from.
    """
    chance = random.Random(turns)
    request = dict(
        frame or {"model": "m", "system": "You are an agent.", "tools": [], "stream": True}
    )
    messages = list(
        request.get("messages") or [{"role": "user", "content": "Find the defect and mend it."}]
    )
    while len(_body(request, messages)) < start_bytes:
        messages.append(_user({"type": "text", "text": texts.take(min(4000, start_bytes))}))
    sizes = cycle((500, 6000, 2000, 300, 4000))
    for size in islice(sizes, turns):
        said, tool_id = texts.take(300), f"toolu_{chance.getrandbits(96):024x}"
        call = {
            "type": "tool_use",
            "id": tool_id,
            "name": "Read",
            "input": {"path": texts.take(60)},
        }
        yield Turn(_body(request, messages), _answer(said, call))
        messages.append({"role": "assistant", "content": [{"type": "text", "text": said}, call]})
        messages.append(
            _user({"type": "tool_result", "tool_use_id": tool_id, "content": texts.take(size)})
        )


def record(number: int, turn: Turn, *, rewritten: bool = False, **changes: Any) -> FlowRecord:
    """Return the record of a turn.

    `rewritten`: a hook put something into the request, so that what left differs.
    """
    sent = turn.request.replace(
        b'"stream": true', b'"stream": true, "metadata": {"user_id": "u-%d"}' % number
    )
    sent = sent if rewritten else turn.request
    step = HookStep(
        "inbound", "shape", "ran", changed=("body",), body_before=turn.request, body_after=sent
    )
    fields: dict[str, Any] = {
        "session_id": "session-1",
        "conversation_id": "conversation-1",
        "requested_model": "m",
        "provider": "anthropic",
        "path": "/v1/messages",
        "sides": _sides(turn, sent),
        "hooks": (step,) if rewritten else (),
    }
    started_at = EPOCH + number * 20
    return FlowRecord(
        id=f"turn-{number:04}", state="done", started_at=started_at, **fields | changes
    )


def _sides(turn: Turn, sent: bytes) -> tuple[SideRecord, ...]:
    bodies = {
        "client": turn.request,
        "forwarded": sent,
        "upstream": turn.answer,
        "delivered": turn.answer,
    }
    return tuple(side(name, body) for name, body in bodies.items())


def _user(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [part]}


def _body(request: dict[str, Any], messages: list[Any]) -> bytes:
    """The last message carries the cache mark, so it stands elsewhere in every turn."""
    last = dict(messages[-1])
    if isinstance(last["content"], list):
        last["content"] = [
            *last["content"][:-1],
            {**last["content"][-1], "cache_control": {"type": "ephemeral"}},
        ]
    return json.dumps({**request, "messages": [*messages[:-1], last]}, ensure_ascii=False).encode()


def _answer(said: str, call: dict[str, Any]) -> bytes:
    pieces = [said[start : start + 12] for start in range(0, len(said), 12)]
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"role": "assistant", "usage": {}}}
    ]
    events += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    events += [
        {"type": "content_block_start", "index": 1, "content_block": call},
        {"type": "message_stop"},
    ]
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) > 300 and " " in value and not value.startswith("data:"):
            yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)
