"""A recorded request and its response in the translator's neutral form, from any vendor. Pure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from flows.reading.answer_text import UNREADABLE, pieces_of_stream
from providers.base.names import WIRE_FORMATS, WireFormatName
from providers.wire.answer_form import is_events, is_json
from providers.wire.core.base import StreamDecoder
from providers.wire.core.formats import provider_codec
from providers.wire.core.ir import (
    Block,
    Failure,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
)
from providers.wire.core.jsonio import loads
from providers.wire.core.sse import SseEvent, SseParser
from providers.wire.detect import client_format, endpoint_suffix, is_stream, model_of
from providers.wire.failures.reported_failure import ReportedFailure
from providers.wire.response_reading import decoded_response
from providers.wire.rules.events import Collector
from providers.wire.translate import decoded_request

MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_CUT_JSON: Final = "The response is not complete JSON. The raw view shows what arrived."


@dataclass(slots=True)
class Answer:
    """A response as far as it could be read.

    `complete` is false for a stream that was cut.
    """

    blocks: list[Block] = field(default_factory=list)
    finish: str = ""
    failure: str = ""
    complete: bool = True
    note: str = ""


class ReadRequest(NamedTuple):
    """A request, or None and a sentence that says why it cannot be read."""

    request: Request | None
    problem: str = ""


def format_of(named: str, url: str) -> WireFormatName | None:
    """Return the format of one side: the recorded one, else the one of its path.

    None when the path is not a main endpoint of any vendor.
    """
    path = path_of(url)
    by_path = client_format(path)
    recorded = next((name for name in WIRE_FORMATS if name == named), None)
    # count_tokens and the like stand beside the conversation.
    wire = by_path or recorded
    if wire is not None and endpoint_suffix(path, wire):
        return None
    return recorded or by_path


def path_of(url: str) -> str:
    """Return path and query of an address; text that is not an address comes back unchanged."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not parts.query:
        return parts.path
    return f"{parts.path}?{parts.query}"


def read_request(wire: WireFormatName, url: str, body: bytes) -> ReadRequest:
    """Decode a request body. Never raises."""
    if not body:
        return ReadRequest(None, "The request's body is not stored.")
    if len(body) > MAX_REQUEST_BYTES:
        return ReadRequest(None, "The request is too large to be shown as a conversation.")
    try:
        return ReadRequest(_decoded_request(wire, path_of(url), body))
    except UNREADABLE as exc:
        return ReadRequest(None, f"The request cannot be read as a conversation: {exc}")


def _decoded_request(wire: WireFormatName, path: str, body: bytes) -> Request:
    parsed: Any = loads(body)
    known = parsed if isinstance(parsed, dict) else None
    model = model_of(path, known)
    stream = is_stream(wire, path, known)
    return decoded_request(parsed, wire, model=model, stream=stream)


def read_answer(wire: WireFormatName, body: bytes, status_code: int | None) -> Answer:
    """Decode a response body: buffered, streamed or cut. Never raises."""
    if not body:
        return Answer(note="There is no response.", complete=False)
    if len(body) > MAX_ANSWER_BYTES:
        return Answer(note="The response is too large to be shown as a conversation.")
    if is_json(body):
        return _buffered(wire, body, status_code or 200)
    return _streamed(wire, body)


def _buffered(wire: WireFormatName, body: bytes, status_code: int) -> Answer:
    try:
        parsed = loads(body)
    except (ValueError, RecursionError):
        return Answer(note=_CUT_JSON, complete=False)
    try:
        failure = None
        if status_code >= 400:
            failure = provider_codec(wire).decode_error(status_code, parsed)
        if failure is not None:
            return Answer(failure=sentence_of(failure))
        response = decoded_response(parsed, wire)
    except ReportedFailure as exc:
        return Answer(failure=sentence_of(exc.failure))
    except UNREADABLE as exc:
        return Answer(note=f"The response cannot be read as a conversation: {exc}")
    return Answer(response.blocks, _finish_of(response))


def _streamed(wire: WireFormatName, body: bytes) -> Answer:
    decoder = provider_codec(wire).stream_decoder()
    collector = Collector(wire)
    parser = SseParser()
    note = ""
    failure: Failure | None = None
    try:
        for event in parser.feed(body):
            collector.feed(decoder.feed(event))
        # Before the stream's end: an event that was cut there is no failure of the provider.
        failure = collector.failure
        _collect_last(decoder, collector, parser.flush())
    except UNREADABLE as exc:
        failure = collector.failure
        note = f"The stream can be read up to here only: {exc}"
    _collect_held(decoder, collector)

    blocks = collector.response.blocks
    if not blocks and (blocks := _readable(body)):
        note = "The stream does not follow its format; this is what can be read."
    if not blocks and not note and not is_events(body):
        note = "The response cannot be read as a conversation."
    answer = Answer(blocks, complete=collector.complete, note=note)
    if collector.complete:
        answer.finish = _finish_of(collector.response)
    if failure is not None:
        answer.failure = sentence_of(failure)
    return answer


def _collect_last(decoder: StreamDecoder, collector: Collector, last: list[SseEvent]) -> None:
    """Take the end of a stream; an event that was cut in the middle is left out."""
    with suppress(*UNREADABLE):
        for event in last:
            collector.feed(decoder.feed(event))
    with suppress(*UNREADABLE):
        collector.feed(decoder.flush())


def _collect_held(decoder: StreamDecoder, collector: Collector) -> None:
    """Take what waited for other blocks to end, after a cut or a failure."""
    with suppress(*UNREADABLE):
        collector.feed(decoder.held())
    collector.close_block()


def _finish_of(response: Response) -> str:
    return response.finish.raw or response.finish.reason


def _readable(body: bytes) -> list[Block]:
    """Return what can be read of a stream whose grammar is broken."""
    blocks: list[Block] = []
    for kind, text in pieces_of_stream(body):
        last = blocks[-1] if blocks else None
        if kind == "error":
            # The decoder has reported it, or it is shown with the flow.
            continue
        if kind == "thinking":
            blocks.append(Thinking(text))
        elif kind == "tool":
            blocks.append(ToolCall("", text))
        elif kind == "arguments" and isinstance(last, ToolCall):
            last.arguments = text
        else:
            blocks.append(Text(text))
    return blocks


def sentence_of(failure: Failure) -> str:
    """Return a failure's message with its kind: "slow down (rate_limit_error)"."""
    if not failure.kind:
        return failure.message
    return f"{failure.message} ({failure.kind})"
