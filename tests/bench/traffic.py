"""What the load generator sends: an SDK's requests to Anthropic, each with a text of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import orjson

_HEAD = (
    b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept:"
    b" application/json\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUser-Agent:"
    b" Anthropic/Python 0.99.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Package-Version:"
    b" 0.99.0\r\nX-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\nX-Stainless-Runtime:"
    b" CPython\r\nX-Stainless-Runtime-Version: 3.13.0\r\nX-Stainless-Retry-Count:"
    b" 0\r\nX-Stainless-Timeout: 600\r\nanthropic-version: 2023-06-01\r\nx-api-key:"
    b" sk-ccproxy-bench\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
)
_SMALL_BYTES = 2048
_LARGE_BYTES = 1024 * 1024
_numbers = itertools.count()


def small(port: int) -> bytes:
    """A request of 2 KB that is answered in one piece."""
    return _request(port, _body(_SMALL_BYTES), b"")


def large(port: int) -> bytes:
    """An agent's next turn: 1 MB of conversation that went out before, and a new message."""
    return _request(
        port, _LARGE[:-2] + b"," + orjson.dumps(_message(next(_numbers), 400)) + b"]}", b""
    )


def streamed(port: int, events: int, every_ms: float) -> bytes:
    """A request of 2 KB that is answered with `events` text deltas, one every `every_ms`
    milliseconds.
    """
    return _request(
        port, _body(_SMALL_BYTES, stream=True), b"x-bench: %d,%g\r\n" % (events, every_ms)
    )


def times(count: int, make: Callable[[], bytes]) -> Callable[[], bytes | None]:
    """`count` requests, then None."""
    left = itertools.repeat(None, count)
    return lambda: make() if next(left, 0) is None else None


def _request(port: int, body: bytes, more: bytes) -> bytes:
    return _HEAD % (port, more, len(body)) + body


def _message(number: int, size_bytes: int) -> dict[str, object]:
    text = f"Question {number}: what does this part of the program do, and why? "
    return {"role": "user", "content": (text * (size_bytes // len(text) + 1))[:size_bytes]}


def _body(size_bytes: int, *, stream: bool = False) -> bytes:
    number = next(_numbers)
    session = f'{{"session_id":"5b0e4c7e-0000-4000-8000-{number // 100:012d}"}}'
    body = {
        "model": "claude-bench",
        "max_tokens": 1024,
        "stream": stream,
        "metadata": {"user_id": session},
        "system": "You are an assistant who answers questions about programs.",
        "messages": [_message(number, size_bytes - 300)],
    }
    return orjson.dumps(body)


def _conversation(size_bytes: int) -> bytes:
    """Reads and answers in turn, about as long as an agent's: 6 KB of a file, then 300 bytes of
    thought.
    """
    messages: list[dict[str, object]] = []
    total = 0
    for number in itertools.count():
        lines = "".join(
            f"    value_{number}_{line} = compute({line * 7919 + number}, name='item {line}')\n"
            for line in range(100)
        )
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": lines}
        call = {
            "type": "tool_use",
            "id": f"toolu_{number + 1}",
            "name": "read",
            "input": {"file": f"part_{number}.py"},
        }
        messages.append({"role": "user", "content": [result]})
        messages.append(
            {
                "role": "assistant",
                "content": [{"type": "text", "text": f"I read part {number}."}, call],
            }
        )
        total += len(lines) + 300
        if total >= size_bytes:
            break
    metadata = {"user_id": '{"session_id":"5b0e4c7e-0000-4000-8000-00000000a9e7"}'}
    return orjson.dumps(
        {"model": "claude-bench", "max_tokens": 1024, "metadata": metadata, "messages": messages}
    )


_LARGE = _conversation(_LARGE_BYTES)
