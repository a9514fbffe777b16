"""Search for the usage object of a response, an event or a chunk, wherever a server puts it.

Vendors have it at the top (`usage`, `usageMetadata`) or in `message` and `response`. Servers also
put it into a choice or into an object of their own (`{"x_server": {"usage": {…}}}`).
"""

from __future__ import annotations

from typing import Any, Final

USAGE_KEYS: Final = ("usage", "usageMetadata", "usage_metadata")
_DEPTH: Final = 3
# What the model or the client wrote may hold anything, a `usage` too.
_CONTENT: Final = frozenset(
    {
        *("content", "content_block", "delta", "part", "item", "output", "candidates"),
        *("tools", "metadata", "instructions", "text", "arguments", "input", "error"),
    }
)
_COUNTS: Final = frozenset(
    {
        *("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens"),
        *("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
        *("prompt_token_count", "candidates_token_count", "total_token_count"),
    }
)


def usage_in(body: Any) -> dict[str, Any] | None:
    """Return the usage object nearest to the top, or None.

    Example: `{"choices": [{"usage": {"prompt_tokens": 3}}]}` → `{"prompt_tokens": 3}`.
    """
    level: list[Any] = [body]
    for _ in range(_DEPTH):
        following: list[Any] = []
        for holder in level:
            if not isinstance(holder, dict):
                continue
            for name in USAGE_KEYS:
                usage = holder.get(name)
                if isinstance(usage, dict) and not _COUNTS.isdisjoint(usage):
                    return usage
            following += _inner(holder)
        level = following
    return None


def _inner(holder: dict[str, Any]) -> list[Any]:
    """Return the objects in which a usage may be, without the response's content."""
    inner: list[Any] = []
    for key, value in holder.items():
        if isinstance(value, dict) and key not in _CONTENT:
            inner.append(value)
        elif key == "choices" and isinstance(value, list):
            inner += value
    return inner
