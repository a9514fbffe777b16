"""Inner hook: content of the request inside of Code Assist's envelope."""

from __future__ import annotations

from typing import Any, Final

from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.hook import Stage, hook

CONTENT: Final = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        # Sampling, limits and thinking belong to the client, never to a shape.
        "generationConfig",
        "cachedContent",
        "labels",
        "session_id",
    }
)
"""Fields of the inner request that are the client's, present or not."""


@hook(stage=Stage.OUTBOUND, reads={"body", "url"}, writes={"body", "url"})
def gemini(ex: Exchange) -> None:
    """Copy the content of the client's inner request, and stream only if the client does."""
    body, incoming = ex.body.peek(), ex.incoming
    if not isinstance(body, dict) or incoming is None:
        return
    theirs = _inner(incoming.body.peek())
    if theirs is None:
        raise ValueError("the request has no envelope; put the hook gemini_cli before shape")
    ours = _inner(body) or {}
    merged: dict[str, Any] = {}
    for name in dict.fromkeys([*ours, *theirs]):
        if name in theirs:
            merged[name] = theirs[name]
        elif name not in CONTENT:
            merged[name] = ours[name]
    body["request"] = merged
    if "alt=sse" not in _fields(incoming.path):
        bare = ex.path.partition("?")[0]
        fields = [field for field in _fields(ex.path) if field != "alt=sse"]
        ex.path = f"{bare}?{'&'.join(fields)}" if fields else bare


def _inner(body: object) -> dict[str, Any] | None:
    """Return the request inside of an envelope, or None."""
    request = body.get("request") if isinstance(body, dict) else None
    return request if isinstance(request, dict) else None


def _fields(path: str) -> list[str]:
    return [field for field in path.partition("?")[2].split("&") if field]
