"""Text of a flow that a search finds: names, ids, the start of the last message and response. Pure.

Example: a Messages request that ends with the user's "Fix the test", answered with "Done.", on the
flow of session s-1 → "s-1\\nFix the test\\nDone.".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from flows.reading.answer_text import (
    SMALL_STREAM_BYTES,
    AnswerReader,
    pieces_of_json,
    pieces_of_stream,
)
from flows.reading.event_pieces import Piece
from flows.reading.json_text import parse_json
from providers.wire.answer_form import is_events, is_json

MAX_BYTES = 4096
_QUESTION_CHARS = 1200
_ANSWER_CHARS = 1200
_MAX_TOOLS = 20
_CONTEXT_CHARS = 300
_NOTE = re.compile(r"\s*(?:<[a-z][\w-]*>|---)")
_PARSED_BYTES = 4 * 1024 * 1024
_STREAM_BYTES = 256 * 1024
_STREAM_STEP_BYTES = 8 * 1024


def search_text(names: Iterable[str], asked: str, said: str) -> str:
    """Join names, the user's message `asked` and the response `said`, cut to 4 KB of UTF-8."""
    parts = [*names, asked[:_QUESTION_CHARS], said]
    text = "\n".join(part for part in parts if part)
    encoded = text.encode("utf-8", "replace")
    # The cut may divide a character, which is left out then.
    return encoded[:MAX_BYTES].decode("utf-8", "ignore")


def question(body: bytes) -> str:
    """Return the start of the user's last message, in any vendor's request format.

    Example: `{"messages": [{"role": "user", "content": "Hi"}]}` → "Hi". A body without one gives
    "".
    """
    return question_in(request_in(body))[:_QUESTION_CHARS]


def request_in(body: bytes) -> Any:
    """Return a parsed request; None for what is no JSON object and for more than 4 MB."""
    if not body.startswith(b"{") or len(body) > _PARSED_BYTES:
        return None
    return parse_json(body).value


def question_in(request: Any) -> str:
    """Return the start of the user's last message in a parsed request, "" without one.

    The text is twice as long as the one that is stored: a credential that the cut would divide is
    still complete here, so that redaction finds it.
    """
    messages = messages_of(request)
    # The Responses API takes a plain string as `input`.
    if isinstance(messages, str):
        return messages[: 2 * _QUESTION_CHARS]
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if not isinstance(message, dict) or message.get("role", "user") != "user":
            continue
        # A message with tool results alone has no text: the user's own one stands before it.
        text = "\n".join(sorted(_texts(message), key=_rank))
        if text:
            return text[: 2 * _QUESTION_CHARS]
    return ""


class Said(NamedTuple):
    """Start of a response: its text, and the names of the tools that it calls."""

    text: str = ""
    tools: tuple[str, ...] = ()


def answer(body: bytes) -> Said:
    """Return the start of a response, buffered or streamed, in any vendor's format.

    Example: `{"content": [{"type": "text", "text": "Hello"}]}` → "Hello" and no tools.
    """
    if is_json(body) and len(body) <= _PARSED_BYTES:
        return _gathered([pieces_of_json(parse_json(body).value)])
    if is_events(body):
        is_small = len(body) <= SMALL_STREAM_BYTES
        return _gathered([pieces_of_stream(body)] if is_small else _streamed(body))
    return Said()


def _streamed(body: bytes) -> Iterator[Iterable[Piece]]:
    reader = AnswerReader("identity")
    # In small steps: the first 1,200 characters are usually within the first few kilobytes.
    for start in range(0, min(len(body), _STREAM_BYTES), _STREAM_STEP_BYTES):
        yield reader.feed(body[start : start + _STREAM_STEP_BYTES])
    yield reader.finish()


def _gathered(steps: Iterable[Iterable[Piece]]) -> Said:
    """Return the texts and tool names in a response, until there is text enough."""
    text = ""
    tools: list[str] = []
    for pieces in steps:
        for kind, content in pieces:
            if kind in ("text", "error"):
                text += content
            elif kind == "tool" and len(tools) < _MAX_TOOLS:
                tools.append(content)
        if len(text) >= _ANSWER_CHARS:
            break
    return Said(text[:_ANSWER_CHARS], tuple(tools))


def messages_of(request: Any) -> Any:
    """Return the messages of a parsed request in any vendor's format: a list, or what it has."""
    if not isinstance(request, dict):
        return None
    # Code Assist wraps Google's format.
    inner = request.get("request")
    body = inner if isinstance(inner, dict) else request
    return body.get("messages") or body.get("input") or body.get("contents")


def has_own_text(message: dict[str, Any]) -> bool:
    """Return whether a message says something beside its tool results and the client's notes."""
    return next(_texts(message), None) is not None


def _rank(text: str) -> int:
    """Return the place of a text in the user's message: what the user wrote comes before context.

    Clients put their own texts before or behind it, as blocks of the same message. Example of one:
    `<session_context>…`, "Fix the test", "--- Content of a.py ---" → "Fix the test" has 0.
    """
    if is_note(text):
        return 2
    return 1 if len(text) > _CONTEXT_CHARS else 0


def is_note(text: str) -> bool:
    """Return whether a text is one that clients add to a user's message: it begins with a tag."""
    return _NOTE.match(text) is not None


def _texts(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content") or message.get("parts")
    parts = content if isinstance(content, list) else [content]
    for part in parts:
        text = part.get("text") if isinstance(part, dict) else part
        if not isinstance(text, str) or not text.strip():
            continue
        # Clients add their own notes to the user's message, wrapped in a tag.
        if not text.lstrip().startswith("<system-reminder>"):
            yield text
