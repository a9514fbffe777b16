"""Bodies of responses that Django streams."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync


def whole_body(response: Any) -> bytes:
    """Return the body of a test client's response, streamed or not."""

    async def collected() -> bytes:
        return b"".join([piece async for piece in response.streaming_content])

    body: bytes = async_to_sync(collected)() if response.streaming else response.content
    return body
