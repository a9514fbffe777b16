"""Shorthand for asking the translator in the tests of requests."""

from __future__ import annotations

from typing import Any

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WireFormatName,
)
from providers.wire.translate import TargetInfo, translate_request

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
TOOL = {
    "name": "f",
    "description": "d",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}
CHAT_TOOL = {"type": "function", "function": {"name": "f", "parameters": TOOL["input_schema"]}}
IMAGE = "iVBORw0KGgo="


def go(
    body: dict[str, Any], src: WireFormatName, dst: WireFormatName, model: str = "m", **target: Any
):
    body.setdefault("model", "m")
    return translate_request(body, src, dst, target=TargetInfo(model=model, **target))


def user(text: Any = "x") -> dict[str, Any]:
    return {"role": "user", "content": text}


def reasons(losses) -> str:
    return " | ".join(f"{loss.path}: {loss.reason}" for loss in losses)


def call(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
