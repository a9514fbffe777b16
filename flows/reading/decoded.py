"""A recorded request and its answer in the translator's small language, whatever vendor's words
they are in. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from flows.reading.answer_text import AnswerReader, joined
from providers.base.errors import TranslationError
from providers.base.names import WIRE_FORMATS, WireFormatName
from providers.wire.core.formats import wire_format
from providers.wire.core.ir import Block, Failure, Request, Text, Thinking, ToolCall
from providers.wire.core.jsonio import loads
from providers.wire.core.sse import SseParser
from providers.wire.detect import client_format, endpoint_suffix, is_stream, model_of
from providers.wire.rules.events import Collector
from providers.wire.translate import decoded_request, decoded_response

MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_UNFORESEEN: Final = (
    TranslationError, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError,
    OverflowError,
)  # fmt: skip


@dataclass(slots=True)
class Answer:
    """What was answered as far as it could be read.

    `complete` is false for a stream that was cut.
    """

    blocks: list[Block] = field(default_factory=list)
    finish: str = ""
    failure: str = ""
    complete: bool = True
    note: str = ""


def format_of(named: str, url: str) -> WireFormatName | None:
    """The format of one side: the recorded one, else by its path.

    None when it is no main endpoint of any vendor.
    """
    path = path_of(url)
    found = client_format(path)
    if found is not None and endpoint_suffix(path, found):
        return None  # count_tokens and other questions beside the conversation
    named_format = next((name for name in WIRE_FORMATS if name == named), None)
    return named_format or found


def path_of(url: str) -> str:
    """Path and query of an address; the whole of it when it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def read_request(wire: WireFormatName, url: str, body: bytes) -> tuple[Request | None, str]:
    """The request, or None and a sentence why it cannot be read."""
    if not body:
        return None, "The request's body is not stored."
    if len(body) > MAX_REQUEST_BYTES:
        return None, "The request is too large to be shown as a conversation."
    path = path_of(url)
    try:
        parsed: Any = loads(body)
        known = parsed if isinstance(parsed, dict) else None
        return (
            decoded_request(
                parsed, wire, model=model_of(path, known), stream=is_stream(wire, path, known)
            ),
            "",
        )
    except _UNFORESEEN as exc:
        return None, f"The request cannot be read as a conversation: {exc}"


def read_answer(wire: WireFormatName, body: bytes, status_code: int | None) -> Answer:
    """The answer, whole, streamed or cut. Never raises."""
    if not body:
        return Answer(note="There is no answer.", complete=False)
    if len(body) > MAX_ANSWER_BYTES:
        return Answer(note="The answer is too large to be shown as a conversation.")
    if body.lstrip()[:1] in (b"{", b"["):
        return _whole(wire, body, status_code)
    return _streamed(wire, body)


def _whole(wire: WireFormatName, body: bytes, status_code: int | None) -> Answer:
    try:
        parsed = loads(body)
        failure = (
            wire_format(wire).decode_error(status_code or 200, parsed)
            if (status_code or 200) >= 400
            else None
        )
        if failure is not None:
            return Answer(failure=_sentence(failure))
        response = decoded_response(parsed, wire)
    except _UNFORESEEN as exc:
        return Answer(note=f"The answer cannot be read as a conversation: {exc}")
    return Answer(response.blocks, response.finish.raw or response.finish.reason)


def _streamed(wire: WireFormatName, body: bytes) -> Answer:
    decoder, collector, parser = wire_format(wire).stream_decoder(), Collector(wire), SseParser()
    note = ""
    try:
        for event in [*parser.feed(body), *parser.flush()]:
            collector.feed(decoder.feed(event))
        collector.feed(decoder.flush())
    except _UNFORESEEN as exc:
        note = f"The stream can be read up to here only: {exc}"
    response = collector.response
    if not response.blocks and (blocks := _readable(body)):
        return Answer(
            blocks,
            complete=False,
            note="The stream does not follow its format; this is what can be read.",
        )
    answer = Answer(response.blocks, complete=collector.complete, note=note)
    if collector.complete:
        answer.finish = response.finish.raw or response.finish.reason
    if collector.failure is not None:
        answer.failure = _sentence(collector.failure)
    return answer


def _readable(body: bytes) -> list[Block]:
    """Whatever can be read of a stream whose grammar is broken."""
    reader = AnswerReader("identity")
    blocks: list[Block] = []
    for kind, text in joined([*reader.feed(body), *reader.finish()]):
        if kind == "thinking":
            blocks.append(Thinking(text))
        elif kind == "tool":
            blocks.append(ToolCall("", text))
        elif kind == "arguments" and blocks and isinstance(call := blocks[-1], ToolCall):
            call.arguments = text
        else:
            blocks.append(Text(text))
    return blocks


def _sentence(failure: Failure) -> str:
    return f"{failure.message} ({failure.kind})" if failure.kind else failure.message
