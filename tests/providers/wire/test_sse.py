from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.base.errors import BadUpstreamStream
from providers.wire.core.sse import SseEvent, SseParser, serialise


def parse(chunks) -> list[SseEvent]:
    parser = SseParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.flush()


def facts(events: list[SseEvent]) -> list[tuple[str, bytes, str]]:
    return [(event.event, event.data, event.id) for event in events]


def cut(raw: bytes, cuts) -> list[bytes]:
    edges = [0, *sorted(position % (len(raw) + 1) for position in cuts), len(raw)]
    return [raw[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data: a\n\n", [("", b"a", "")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", b"a", "")]),
        (b"\xef\xbb\xbf\ndata: a\n\n", [("", b"a", "")]),
        (b"event: x\r\ndata: a\r\ndata:b\r\n\r\n", [("x", b"a\nb", "")]),
        (b"event:x\rdata: a\r\rdata: b\r\r", [("x", b"a", ""), ("", b"b", "")]),
        (b": comment\n\ndata: a\n\n", [("", b"a", "")]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [("", b"a", "1"), ("", b"b", "1")]),
        (b"id: a\0b\ndata: a\n\n", [("", b"a", "")]),
        (b"data\n\n", [("", b"", "")]),
        (b"data:  two spaces\n\n", [("", b" two spaces", "")]),
        (b"event: lost\n\ndata: a\n\n", [("", b"a", "")]),
        (b"retry: 10\nwhatever\ndata: a\n\n", [("", b"a", "")]),
        (b"data: cut off", [("", b"cut off", "")]),
        (b"data: cut\n", [("", b"cut", "")]),
        (b"event: only\n", []),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_events_of_the_standard(raw, expected):
    assert facts(parse([raw])) == expected
    assert facts(parse([raw[i : i + 1] for i in range(len(raw))])) == expected


LINE_ENDS = [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n"]
pieces = st.lists(
    st.sampled_from(
        [*LINE_ENDS, b"data: ", b"data:", b"event: x", b"id: 1", b":", b"a", "é".encode(), b"\0"]
    ),
    max_size=40,
).map(b"".join)


@example(
    b"data: a\r\n\ndata: b\n\n", [9]
)  # the cut after CRLF must not swallow the blank line's LF
@given(pieces, st.lists(st.integers(0, 400), max_size=20))
def test_any_chunking_gives_the_same_events(raw, cuts):
    whole, chunked = parse([raw]), parse(cut(raw, cuts))
    assert facts(whole) == facts(chunked)
    for one, other in zip(whole, chunked, strict=True):
        # Only a CR and LF that came apart may differ: the LF is not known yet when the event goes
        # out.
        assert one.end_offset - other.end_offset in (0, 1)
        if one.end_offset != other.end_offset:
            assert raw[other.end_offset : one.end_offset] == b"\n"


@given(
    st.lists(st.tuples(st.binary(max_size=50), st.sampled_from(["", "message_start"])), max_size=10)
)
def test_what_is_serialised_is_parsed_again(events):
    stream = b"".join(serialise(data, name) for data, name in events)
    parsed = parse([stream])
    normal = [(name, data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")) for data, name in events]
    assert [(event.event, event.data) for event in parsed] == normal
    if parsed:
        assert parsed[-1].end_offset == len(stream)


def test_ids_are_serialised():
    assert serialise(b"a", "x", "7") == b"id: 7\nevent: x\ndata: a\n\n"


def test_a_line_without_end_is_refused():
    parser = SseParser(max_line_bytes=100)
    with pytest.raises(BadUpstreamStream, match="100 bytes"):
        for _ in range(30):
            parser.feed(b"data: xxxx")
    with pytest.raises(BadUpstreamStream):
        SseParser(max_line_bytes=100).feed(b"data: " + b"x" * 200 + b"\n\n")


def test_offsets_cut_the_stream_into_its_events():
    raw = b"data: a\n\n: ping\n\ndata: b\r\n\r\n"
    first, second = parse([raw])
    assert raw[: first.end_offset] == b"data: a\n\n"
    assert raw[first.end_offset : second.end_offset] == b": ping\n\ndata: b\r\n\r\n"


@pytest.mark.corpus
def test_recorded_streams_survive_any_cut(corpus):
    seen = 0
    for file in sorted((corpus / "wire").glob("*/*.json")):
        case = json.loads(file.read_text())
        if case["response"]["kind"] != "sse":
            continue
        seen += 1
        raw = case["response"]["raw"].encode()
        whole = parse([raw])
        assert whole, file.name
        assert facts(parse([raw[i : i + 7] for i in range(0, len(raw), 7)])) == facts(whole)
    assert seen > 100


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_event_of_one_chunk_is_the_same_as_in_any_chunking(line_end: bytes) -> None:
    lines = [b"event: x", b"data: 1", b"", b'data: {"a": "b"}', b"", b"data: a", b"data: b", b""]
    events = b"".join(line + line_end for line in lines)
    whole = SseParser().feed(events)
    parser = SseParser()
    blank = line_end * 2
    chunks = [chunk + blank for chunk in events.split(blank)[:-1]]
    assert [event for chunk in chunks for event in parser.feed(chunk)] == whole
    assert [event.data for event in whole] == [b"1", b'{"a": "b"}', b"a\nb"]
    assert whole[-1].end_offset == len(events)
