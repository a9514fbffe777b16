"""The scripted provider's side of the agent's session: finds the turn, counts tokens and cache."""

from __future__ import annotations

import json
from typing import Any, Final

from interceptor.demo.agent_script import BREAK_AT, MARK, STEPS, blocks, messages, system, tools
from interceptor.demo.script import Answer, size_of, sse, text_of

_PAUSE_S: Final = 0.004
_CHARS_PER_TOKEN: Final = 4


def turn_of(request: dict[str, Any]) -> int | None:
    """Return the index of the turn that a request asks for; None when it is not the agent's."""
    if not text_of(request.get("system")).startswith(MARK):
        return None
    history = request.get("messages")
    if not isinstance(history, list):
        return None
    answered = [message for message in history if message.get("role") == "assistant"]
    return len(answered) if len(answered) < len(STEPS) else None


def answer(turn: int, model: str) -> Answer:
    """Return the streamed response of a turn."""
    usage = usage_of(turn)
    start: dict[str, Any] = {"id": f"msg_demo_{turn:02d}", "type": "message", "model": model}
    start |= {"role": "assistant", "content": [], "stop_reason": None, "stop_sequence": None}
    start["usage"] = {**usage, "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks(turn)):
        events += _block_events(index, block)
    reason = "tool_use" if STEPS[turn].tool else "end_turn"
    events.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": _tokens(blocks(turn))},
        }
    )
    events.append({"type": "message_stop"})
    frames = tuple(sse(event, event["type"]) for event in events)
    return Answer(200, "text/event-stream; charset=utf-8", frames, _PAUSE_S)


def usage_of(turn: int) -> dict[str, int]:
    """Count a turn's input: what the turn before sent is in the cache, unless the cache broke."""
    sent = _sent_tokens(turn)
    cached = 0 if turn in (0, BREAK_AT) else _sent_tokens(turn - 1)
    return {
        "input_tokens": 12,
        "cache_creation_input_tokens": sent - cached,
        "cache_read_input_tokens": cached,
    }


def _sent_tokens(turn: int) -> int:
    return _tokens({"system": system(turn), "tools": tools(), "messages": messages(turn)})


def _tokens(value: Any) -> int:
    return max(1, size_of(value) // _CHARS_PER_TOKEN)


def _block_events(index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
    if block["type"] == "text":
        empty: dict[str, Any] = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": f"{word} "} for word in block["text"].split(" ")]
        deltas[-1]["text"] = deltas[-1]["text"].removesuffix(" ")
    else:
        empty = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in _halves(block)]
    return [
        {"type": "content_block_start", "index": index, "content_block": empty},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _halves(block: dict[str, Any]) -> tuple[str, str]:
    text = json.dumps(block["input"], ensure_ascii=False)
    half = len(text) // 2
    return text[:half], text[half:]
