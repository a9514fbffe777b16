"""Instruction for the commitbee tool, which reads responses as JSON.

Some models wrap JSON in a code fence, which the tool cannot read.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook


class Params(BaseModel):
    """Parameters of the hook."""

    signature: str = Field(
        "commitbee",
        min_length=1,
        description="A text by which commitbee's system prompt is recognised.",
    )
    instruction: str = Field(
        "Answer with the bare JSON object alone: no code fence, no text before it and none"
        " after it.",
        min_length=1,
        description="Text that is added to that system prompt.",
    )


def _text_holders(ex: Exchange) -> list[tuple[Any, Any]]:
    """Return (container, key) of every text in the system prompt, in Anthropic's and OpenAI's
    formats.
    """
    body = ex.body.peek()
    if not isinstance(body, dict):
        return []
    found: list[tuple[Any, Any]] = []
    for key in ("system", "instructions"):
        _collect(body, key, found)
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") in ("system", "developer"):
            _collect(message, "content", found)
    return found


def _collect(container: dict[str, Any], key: str, found: list[tuple[Any, Any]]) -> None:
    value = container.get(key)
    if isinstance(value, str):
        found.append((container, key))
    elif isinstance(value, list):
        found.extend(
            (block, "text")
            for block in value
            if isinstance(block, dict) and isinstance(block.get("text"), str)
        )


@hook(
    stage=Stage.OUTBOUND,
    reads={"body:system", "body:messages", "body:instructions"},
    writes={"body:system", "body:messages", "body:instructions"},
    params=Params,
)
def commitbee_compat(ex: Exchange, params: Params) -> None:
    """Add an instruction to commitbee's system prompt: answer with bare JSON."""
    for container, key in _text_holders(ex):
        text = container[key]
        if params.signature.lower() in text.lower() and params.instruction not in text:
            ex.body.touched = True
            container[key] = f"{text}\n\n{params.instruction}"
            return
