"""What is no event neither ends nor changes a stream."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base.names import ANTHROPIC_MESSAGES, GOOGLE_GENERATE, OPENAI_CHAT, OPENAI_RESPONSES
from providers.wire.translate import StreamTranslator

from .cases import ALL
from .interleaved import STREAMS, Call, Scene, Step, sse
from .sdk_answers import read

A, C, R, G = ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES, GOOGLE_GENERATE
SCENE = Scene(
    (Call("id_0", "f", ('{"x":', "1}")), Call("id_1", "g", ())),
    (
        Step(None, text="Hel", kind="text"),
        Step(None, text="lo", kind="text"),
        Step(0),
        Step(1),
        Step(0, 0),
        Step(0, 1),
    ),
)
JUNK = [
    b": keepalive\n\n",
    b": OPENROUTER PROCESSING\n\n",
    b"data: : keepalive\n\n",
    b"data:\n\n",
    b"data\n\n",
    b"data:  \n\n",
    b"data: ping\n\n",
    b"data: [PING]\n\n",
    b"data: null\n\n",
    b"data: []\n\n",
    b"data: 0\n\n",
    b'data: "ping"\n\n',
    b"data: {}\n\n",
    b'data: {"type":"ping"}\n\n',
    b'data: {"type":"keepalive","sequence_number":7}\n\n',
    b'data: {"type":"a.new.event","delta":"x","item":{}}\n\n',
    b"event: ping\ndata: \n\n",
    b"event: ping\ndata: {}\n\n",
    b"event: keepalive\n\n",
    b"event: heartbeat\ndata: 2026-11-29T05:00:00Z\n\n",
    b"id: 7\n\n",
    b"retry: 3000\n\n",
    b"junk without a colon\n\n",
    b"\n\n\r\n",
    b"data: \xff\xfe\n\n",
    b": \xff\n\n",
]


def shape(out: bytes) -> bytes:
    """The stream without random ids, times and Anthropic's pings, which differ from run to run."""
    out = out.replace(b'event: ping\ndata: {"type":"ping"}\n\n', b"")
    out = re.sub(rb'"(msg|fc|rs|call|resp|chatcmpl)_?-?[0-9a-f]{12,}"', b'""', out)
    out = re.sub(rb"__n_[0-9a-f]{12}", b"", out)
    return re.sub(rb'"(created|created_at|completed_at)":\d+', b'""', out)


def translated(src: Any, dst: Any, raw: bytes) -> bytes:
    stream = StreamTranslator(src, dst)
    out = stream.feed(raw) + stream.flush()
    assert stream.failure is None, stream.failure
    assert stream.finish is not None
    return shape(out)


@pytest.mark.parametrize("src", ALL)
@given(
    dst=st.sampled_from(ALL),
    junk=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(JUNK)), max_size=5),
)
def test_junk_between_events_changes_nothing(
    src: Any, dst: Any, junk: list[tuple[int, bytes]]
) -> None:
    raw = STREAMS[src](SCENE)
    events = [event + b"\n\n" for event in raw.split(b"\n\n") if event]
    for place, line in junk:
        events.insert(place % (len(events) + 1), line)
    assert translated(src, dst, b"".join(events)) == translated(src, dst, raw)


@pytest.mark.parametrize("src", ALL)
@pytest.mark.parametrize("junk", JUNK)
def test_each_kind_of_junk_everywhere(src: Any, junk: bytes) -> None:
    raw = STREAMS[src](SCENE)
    hostile = junk + raw.replace(b"\n\n", b"\n\n" + junk)
    dst = ALL[(ALL.index(src) + 1) % 4]
    assert translated(src, dst, hostile) == translated(src, dst, raw)


@pytest.mark.parametrize("src", ALL)
def test_events_without_blank_lines_between_them_arrive(src: Any) -> None:
    raw = STREAMS[src](SCENE)
    dst = ALL[(ALL.index(src) + 1) % 4]
    joined = raw.replace(b"data: [DONE]\n\n", b"").replace(b"\n\n", b"\n") + b"\n"
    if src == C:
        joined += b"data: [DONE]\n\n"
    assert translated(src, dst, joined) == translated(src, dst, raw)


@pytest.mark.parametrize("src", ALL)
@pytest.mark.parametrize("dst", ALL)
def test_broken_utf8_in_a_text_is_replaced(src: Any, dst: Any) -> None:
    raw = STREAMS[src](SCENE).replace(b"Hel", b"H\xff\x01l")
    stream = StreamTranslator(src, dst)
    got = read(dst, stream.feed(raw) + stream.flush(), stream=True)
    assert got.text == "H\ufffd\x01llo"
    assert got.calls == ([("f", {"json": '{"x":1}'}), ("g", {})] if src == G else WANTED)


WANTED = [("f", {"x": 1}), ("g", {})]


@pytest.mark.parametrize("src", ALL)
def test_an_event_that_is_cut_is_no_junk(src: Any) -> None:
    raw = STREAMS[src](SCENE).replace(b'"Hel"', b'"Hel')
    stream = StreamTranslator(src, ALL[(ALL.index(src) + 1) % 4])
    stream.feed(raw)
    assert stream.failure is not None


def test_not_a_number_is_unknown() -> None:
    delta = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
    raw = sse([{"id": "c", "choices": [delta], "score": 0.5}], b"data: [DONE]\n\n")
    assert b'"a"' in translated(C, A, raw.replace(b"0.5", b"NaN"))
