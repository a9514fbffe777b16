"""Inner hook: what the backend of Codex wants of a Responses request."""

from __future__ import annotations

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook


@hook(stage=Stage.OUTBOUND, reads={"body"}, writes={"body"})
def codex(ex: Exchange) -> None:
    """Write a text input as a message, switch storing off, drop the limit of output tokens."""
    body = ex.body.peek()
    if not isinstance(body, dict):
        return
    if isinstance(body.get("input"), str):
        part = {"type": "input_text", "text": body["input"]}
        body["input"] = [{"type": "message", "role": "user", "content": [part]}]
    body["store"] = False
    # That backend refuses requests with it.
    body.pop("max_output_tokens", None)
