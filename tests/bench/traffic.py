"""What the load generator sends: an SDK's requests to Anthropic. No two have the same text."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable

import orjson

from tests.bench.words import text

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
_FRESH_BYTES = 1024 * 1024
_CONVERSATION_BYTES = (100_000, 300_000, 600_000, 900_000)
"""Sizes at which conversations are joined; each turn adds some 4 KB."""

_numbers = itertools.count()


def small(port: int) -> bytes:
    """Return a request of 2 KB that is answered in one piece."""
    return _request(port, _body(_SMALL_BYTES), b"")


def fresh(port: int) -> bytes:
    """Return an agent's request of 1 MB of which nothing was sent before."""
    return _request(port, _Conversation(_FRESH_BYTES).next_body(), b"")


def next_turn(port: int) -> bytes:
    """Return the next request of an agent: what it sent before, a tool's result and a question.

    Four conversations of 100 KB to 1 MB take turns; each server has its own.
    """
    conversations = _conversations[port]
    conversation = conversations.pop(0)
    conversations.append(conversation)
    return _request(port, conversation.next_body(), b"")


def streamed(port: int, events: int, every_ms: float) -> bytes:
    """Return a request of 2 KB that is answered with `events` text deltas.

    One is sent every `every_ms` milliseconds.
    """
    more = b"x-bench: %d,%g\r\n" % (events, every_ms)
    return _request(port, _body(_SMALL_BYTES, stream=True), more)


def huge_answer(port: int, size_bytes: int) -> bytes:
    """Return a request that is answered with a stream of this size, as fast as it is read."""
    more = b"x-bench-bytes: %d\r\n" % size_bytes
    return _request(port, _body(_SMALL_BYTES, stream=True), more)


def with_key(request: bytes, provider: str) -> bytes:
    """Return a request with the sentinel key of another provider."""
    return request.replace(b"sk-ccproxy-bench", b"sk-ccproxy-" + provider.encode(), 1)


def times(count: int, make: Callable[[], bytes]) -> Callable[[], bytes | None]:
    """Return a function that makes `count` requests, then None."""
    left = itertools.repeat(None, count)
    return lambda: make() if next(left, 0) is None else None


class _Conversation:
    """Messages of an agent that only grow, as bytes."""

    def __init__(self, size_bytes: int) -> None:
        session = f'{{"session_id":"{_session(next(_numbers))}"}}'
        start = {"model": "claude-bench", "max_tokens": 1024, "metadata": {"user_id": session}}
        self._sent = orjson.dumps(start)[:-1] + b',"messages":['
        self._sent += orjson.dumps(_question(200))
        while len(self._sent) < size_bytes:
            self._grow(6000)

    def next_body(self) -> bytes:
        """Return the next request's body."""
        self._grow(4000)
        return self._sent + b"]}"

    def _grow(self, size_bytes: int) -> None:
        number = next(_numbers)
        call = {
            "type": "tool_use",
            "id": f"toolu_{number}",
            "name": "read",
            "input": {"file": f"part_{number}.py"},
        }
        said = {"role": "assistant", "content": [{"type": "text", "text": text(300)}, call]}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}"}
        heard = {"role": "user", "content": [result | {"content": _lines(size_bytes)}]}
        self._sent += b"," + orjson.dumps(said) + b"," + orjson.dumps(heard)


def _new_conversations() -> list[_Conversation]:
    return [_Conversation(size_bytes) for size_bytes in _CONVERSATION_BYTES]


_conversations: defaultdict[int, list[_Conversation]] = defaultdict(_new_conversations)


def _request(port: int, body: bytes, more: bytes) -> bytes:
    return _HEAD % (port, more, len(body)) + body


def _question(size_bytes: int) -> dict[str, object]:
    return {"role": "user", "content": f"Question {next(_numbers)}: {text(size_bytes)}?"}


def _lines(size_bytes: int) -> str:
    """Return text in lines of sixty characters, as a file has them."""
    words = text(size_bytes)
    return "\n".join(words[start : start + 60] for start in range(0, size_bytes, 60))


def _session(number: int) -> str:
    return f"5b0e4c7e-0000-4000-8000-{number:012d}"


def _body(size_bytes: int, *, stream: bool = False) -> bytes:
    """Return a body with one question; a hundred share a session."""
    session = next(_numbers) // 100
    body = {
        "model": "claude-bench",
        "max_tokens": 1024,
        "stream": stream,
        "metadata": {"user_id": f'{{"session_id":"{_session(session)}"}}'},
        "system": "You are an assistant who answers questions about programs.",
        "messages": [_question(size_bytes - 300)],
    }
    return orjson.dumps(body)
