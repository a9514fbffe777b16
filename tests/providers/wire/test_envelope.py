"""Code Assist's envelope: put on and taken off without a change of what is inside."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.wire.google_generate.envelope import (
    EnvelopeStream,
    enveloped,
    enveloped_count,
    without_envelope,
)

INNER: dict[str, Any] = {"candidates": [{"content": {"parts": [{"text": "é\n\n"}]}}], "odd": [1]}
ENVELOPE = json.dumps({"traceId": "t", "response": INNER}, ensure_ascii=False).encode()


def test_a_request_keeps_every_field_of_its_own() -> None:
    body = {"contents": [], "model": "models/x", "metadata": {"a": 1}, "new_field": {"b": 2}}
    wrapped = enveloped(body, "x")
    assert wrapped == {"model": "x", "request": {"contents": [], "new_field": {"b": 2}}}
    assert body["metadata"] == {"a": 1}


@pytest.mark.parametrize("key", [None, "generateContentRequest", "generate_content_request"])
def test_a_count_has_model_and_contents_alone(key: str | None) -> None:
    inner: dict[str, Any] = {"contents": [{"parts": []}], "systemInstruction": {}}
    body: dict[str, Any] = {key: inner} if key else inner
    assert enveloped_count(body, "x") == {
        "request": {"model": "models/x", "contents": [{"parts": []}]}
    }


def test_a_buffered_response_loses_the_envelope_alone() -> None:
    plain = without_envelope(ENVELOPE)
    assert plain is not None and json.loads(plain) == INNER
    for other in (b'{"totalTokens": 3}', b'{"response": 1}', b'{"candidates":[],"response":{}}'):
        assert without_envelope(other) == other
    assert without_envelope(b"<html>") is None and without_envelope(b"[1]") is None


def events(*data: bytes, end: bytes) -> bytes:
    return b"".join(b"data: " + one + end for one in data)


def objects_in(stream: bytes) -> list[Any]:
    """The data of a stream's events, parsed."""
    lines = stream.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


@st.composite
def cuts(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """The stream in chunks of any size."""
    places = sorted(draw(st.sets(st.integers(1, len(stream) - 1), max_size=12)))
    bounds = [0, *places, len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(bounds)]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@given(data=st.data())
def test_any_chunking_gives_one_stream(end: bytes, data: st.DataObject) -> None:
    other = b": keep-alive" + end + events(b"[DONE]", b'{"error": {"code": 429}}', end=end)
    stream = events(ENVELOPE, ENVELOPE, end=end) + other + b"id: 7\ndata: " + ENVELOPE
    unwrapper = EnvelopeStream()
    out = b"".join([unwrapper.feed(chunk) for chunk in data.draw(cuts(stream))])
    out += unwrapper.flush()
    assert out.count(b"traceId") == 0 and unwrapper.failure is None
    assert objects_in(out) == [INNER, INNER, {"error": {"code": 429}}, INNER]
    # Events without an envelope are forwarded byte for byte.
    assert other in out and b"id: 7" in out


def test_data_lines_of_one_event_are_joined() -> None:
    stream = EnvelopeStream()
    out = stream.feed(b'data: {"response":\r\ndata: {"candidates": []}}\r\n\r\n')
    assert out == b'data: {"candidates":[]}\r\n\r\n'


@given(data=st.data())
def test_a_client_without_alt_sse_gets_an_array(data: st.DataObject) -> None:
    stream = b"\xef\xbb\xbf" + events(ENVELOPE, b"[DONE]", ENVELOPE, end=b"\r\n\r\n")
    unwrapper = EnvelopeStream(json_array=True)
    out = b"".join([unwrapper.feed(chunk) for chunk in data.draw(cuts(stream))])
    assert json.loads(out + unwrapper.flush()) == [INNER, INNER]
    assert EnvelopeStream(json_array=True).flush() == b"[]"


def test_json_instead_of_events_becomes_a_stream() -> None:
    stream = EnvelopeStream()
    assert stream.feed(b"\n[" + ENVELOPE) == b""
    assert stream.feed(b"," + ENVELOPE + b"]") == b""
    assert objects_in(stream.flush()) == [INNER, INNER]


def test_a_broken_stream_ends_with_an_error_in_its_own_form() -> None:
    plain, array = EnvelopeStream(), EnvelopeStream(json_array=True)
    plain.feed(events(ENVELOPE, end=b"\n\n"))
    begun = array.feed(events(ENVELOPE, end=b"\n\n"))
    assert objects_in(plain.fail(502, "gone"))[0]["error"]["message"] == "gone"
    assert json.loads(begun + array.fail(502, "gone"))[1]["error"]["message"] == "gone"
    assert plain.flush() == b"" and plain.feed(b"data: x\n\n") == b""
    assert plain.failure is not None
