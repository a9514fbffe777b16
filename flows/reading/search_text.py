"""What a search finds of a flow: its names and ids, the beginning of the last question and of the
answer. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from flows.reading.answer_text import AnswerReader, parse_json, pieces_of

MAX_BYTES = 4096
_QUESTION_CHARS = 1200
_ANSWER_CHARS = 1200
_PARSED_BYTES = 4 * 1024 * 1024
_STREAM_BYTES = 256 * 1024
_STREAM_STEP_BYTES = 8 * 1024


def search_text(names: Iterable[str], asked: str, said: str) -> str:
    """At most 4 KB of UTF-8: names and ids, the beginning of what was asked and of what was
    said.
    """
    text = "\n".join(part for part in (*names, asked[:_QUESTION_CHARS], said) if part)
    return text.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore")


def question(body: bytes) -> str:
    """The beginning of the last thing the user said, in any of the vendors' request formats; ""
    when there is none.
    """
    if not body.startswith(b"{") or len(body) > _PARSED_BYTES:
        return ""
    return question_in(parse_json(body).value)[:_QUESTION_CHARS]


def question_in(request: Any) -> str:
    """The same out of a parsed body, and somewhat more of it: a secret at its end can still be
    told.
    """
    if isinstance(request, dict) and isinstance(request.get("request"), dict):
        request = request["request"]  # Code Assist wraps Google's format
    if not isinstance(request, dict):
        return ""
    turns = request.get("messages") or request.get("input") or request.get("contents")
    if isinstance(turns, str):
        return turns[: 2 * _QUESTION_CHARS]
    for turn in reversed(turns if isinstance(turns, list) else []):
        if (
            isinstance(turn, dict)
            and turn.get("role", "user") == "user"
            and (said := "\n".join(_texts(turn)))
        ):
            return said[: 2 * _QUESTION_CHARS]
    return ""


def answer(body: bytes) -> str:
    """The beginning of an answer's text, buffered or streamed, in any of the vendors' formats."""
    if body.startswith(b"{") and len(body) <= _PARSED_BYTES:
        try:
            pieces = list(pieces_of(parse_json(body).value))
        except (AttributeError, TypeError):
            return ""
        return "".join(text for kind, text in pieces if kind in ("text", "error"))[:_ANSWER_CHARS]
    if body[:6].startswith((b"data:", b"event:")):
        return _streamed(body)
    return ""


def _streamed(body: bytes) -> str:
    reader = AnswerReader("identity")
    said = ""
    for start in range(0, min(len(body), _STREAM_BYTES), _STREAM_STEP_BYTES):
        pieces = reader.feed(body[start : start + _STREAM_STEP_BYTES])
        said += "".join(text for kind, text in pieces if kind in ("text", "error"))
        if len(said) >= _ANSWER_CHARS:
            break
    return said[:_ANSWER_CHARS]


def _texts(turn: dict[str, Any]) -> Iterator[str]:
    content = turn.get("content") or turn.get("parts")
    for part in content if isinstance(content, list) else [content]:
        text = part.get("text") if isinstance(part, dict) else part
        # Clients put their own notes into the user's turn, wrapped in a tag.
        if (
            isinstance(text, str)
            and text.strip()
            and not text.lstrip().startswith("<system-reminder>")
        ):
            yield text
