"""The readable part of responses, out of real recorded streams and cut anywhere."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from pathlib import Path
from typing import Any
from unittest.mock import patch

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from flows.bytes.incremental import IncrementalDecoder
from flows.reading import answer_text
from flows.reading.answer_text import AnswerReader, joined
from flows.reading.event_pieces import Kind, Piece, pieces_of, says
from flows.reading.json_text import parse_json, pretty
from providers.wire.core.sse import serialise


def read(data: bytes, encoding: str = "", step: int = 10**9) -> list[Piece]:
    reader = AnswerReader(encoding)
    pieces = [
        piece for at in range(0, len(data), step) for piece in reader.feed(data[at : at + step])
    ]
    return joined([*pieces, *reader.finish()])


def events(*values: Any) -> bytes:
    return b"".join(f"data: {json.dumps(value)}\n\n".encode() for value in values)


STREAMS: dict[str, tuple[bytes, list[tuple[Kind, str]]]] = {
    "anthropic": (
        events(
            {"type": "message_start", "message": {"content": []}},
            {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm"}},
            {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
            {
                "type": "content_block_start",
                "content_block": {"type": "tool_use", "name": "ls", "input": {}},
            },
            {
                "type": "content_block_delta",
                "delta": {"type": "input_json_delta", "partial_json": "{}"},
            },
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ),
        [
            ("thinking", "Hm"),
            ("text", "Hi"),
            ("tool", "ls"),
            ("arguments", "{}"),
            ("error", "Overloaded"),
        ],
    ),
    "chat": (
        events(
            {
                "choices": [
                    {"delta": {"role": "assistant", "content": None, "reasoning_content": "Hm"}}
                ]
            },
            {"choices": [{"delta": {"content": "Hi"}}]},
            {
                "choices": [
                    {"delta": {"tool_calls": [{"function": {"name": "ls", "arguments": ""}}]}}
                ]
            },
            {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]},
            {"choices": [], "usage": {"total_tokens": 3}},
        )
        + b"data: [DONE]\n\n",
        [("thinking", "Hm"), ("text", "Hi"), ("tool", "ls"), ("arguments", "{}")],
    ),
    "responses": (
        events(
            {"type": "response.created", "response": {"output": [], "error": None}},
            {"type": "response.reasoning_summary_text.delta", "delta": "Hm"},
            {"type": "response.output_text.delta", "delta": "Hi"},
            {"type": "response.output_item.added", "item": {"type": "function_call", "name": "ls"}},
            {"type": "response.function_call_arguments.delta", "delta": "{}"},
            {
                "type": "response.completed",
                "response": {
                    "output": [
                        {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
                    ]
                },
            },
        ),
        [("thinking", "Hm"), ("text", "Hi"), ("tool", "ls"), ("arguments", "{}")],
    ),
    "google": (
        events(
            {
                "candidates": [
                    {"content": {"parts": [{"text": "Hm", "thought": True}, {"text": "Hi"}]}}
                ]
            },
            {
                "response": {
                    "candidates": [
                        {"content": {"parts": [{"functionCall": {"name": "ls", "args": {}}}]}}
                    ]
                }
            },
        ),
        [("thinking", "Hm"), ("text", "Hi"), ("tool", "ls"), ("arguments", "{}")],
    ),
    "not events": (b"just some text \xc3\xa4\n", [("text", "just some text ä\n")]),
    "no last blank line": (
        events({"choices": [{"delta": {"content": "Hi"}}]}).rstrip(),
        [("text", "Hi")],
    ),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("step", [1, 7, 10**9])
def test_streams_are_read_in_any_pieces(name: str, step: int):
    data, expected = STREAMS[name]
    assert read(data, step=step) == expected


@pytest.mark.parametrize(
    ("encoding", "header"),
    [("gzip", "gzip"), ("gzip", ""), ("deflate", "deflate"), ("br", "br"), ("zstd", "zstd")],
)
@pytest.mark.parametrize("step", [1, 10**9])
def test_compressed_streams_are_read(encoding: str, header: str, step: int):
    data, expected = STREAMS["anthropic"]
    squeeze = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": brotli.compress,
        "zstd": zstandard.compress,
    }
    assert read(squeeze[encoding](data), header, step) == expected


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "nonsense"])
def test_broken_compression_is_read_as_nothing(encoding: str):
    assert read(b"data: {}\n\n" * 9, encoding) == []


@pytest.mark.parametrize(
    "squeeze", [gzip.compress, lambda data: brotli.compress(data, quality=2), zstandard.compress]
)
def test_a_bomb_is_cut(squeeze: Any):
    encoding = {0x1F: "gzip", 0x28: "zstd"}.get(squeeze(b"x")[0], "br")
    decoder = IncrementalDecoder(encoding, max_bytes=1_000_000)
    out = decoder.feed(squeeze(b"\0" * 50_000_000))
    assert len(out) == 1_000_000
    assert decoder.capped
    assert decoder.feed(b"more") == b""


def test_a_whole_answer_is_read_like_a_stream():
    answer = {
        "content": [
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "name": "ls", "input": {"a": 1}},
        ]
    }
    assert list(pieces_of(answer)) == [("text", "Hi"), ("tool", "ls"), ("arguments", '{"a": 1}')]
    assert list(pieces_of({"choices": [{"message": {"content": "Hi"}}]})) == [("text", "Hi")]
    assert list(pieces_of({"output": [{"content": [{"text": "Hi"}]}]})) == [("text", "Hi")]


@pytest.mark.parametrize(
    "event",
    [None, 1, "x", [], {"choices": 1}, {"choices": [1, {"delta": 3}]}, {"delta": [], "type": "x"}],
)
def test_odd_events_are_left_out(event: Any):
    assert read(events(event)) == []


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":NaN}', b'{"a":"\\ud800"}', b"\xff", b"1" * 5000, b""]
)
def test_no_json_is_too_odd_to_be_looked_at(data: bytes):
    parse_json(data)


def test_events_are_told_in_a_few_words():
    assert says(b'{"choices": [{"delta": {"content": "Hi"}}]}') == "Hi"
    assert says(b"[DONE]") == says(b"\xff") == says(b"") == ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"a":[1]}', '{\n  "a": [\n    1\n  ]\n}'),
        (b"[DONE]", "[DONE]"),
        (b"\xff", "\udcff"),
        (b"x" * 9, "xxxxx… (9 characters)"),
    ],
)
def test_json_is_spread_over_lines(data: bytes, text: str):
    assert pretty(data, 5 if data[:1] == b"x" else 99) == text


@pytest.mark.corpus
def test_every_recorded_stream_with_text_is_read(corpus: Path):
    unread, count = [], 0
    for path in sorted((corpus / "wire").rglob("*.json")):
        case = json.loads(path.read_text())
        raw = case["response"].get("raw") if case.get("streaming") else None
        if not raw or "r_empty" in case["features"] or case["response"].get("status", 200) >= 400:
            continue
        count += 1
        if not read(raw.encode(), step=50):
            unread.append(path.name)
    assert count > 50
    assert len(unread) <= count // 50, unread


def _event(kind: str, index: int, **more: Any) -> dict[str, Any]:
    return {"type": f"content_block_{kind}", "index": index, **more}


_texts = st.text('ab"\\\n/é\ud83d{}led', max_size=6)
_deltas = st.sampled_from(
    [("text_delta", "text"), ("thinking_delta", "thinking"), ("input_json_delta", "partial_json")]
)
_blocks = st.sampled_from(
    [
        {"type": "text", "text": ""},
        {"type": "thinking", "thinking": ""},
        {"type": "tool_use", "id": "t", "name": "ls", "input": {}},
        {"type": "server_tool_use", "id": "s", "name": "search", "input": {}},
        {"type": "unheard_of"},
    ]
)
_indexes = st.integers(0, 2)
_events = st.one_of(
    st.builds(
        lambda index, delta, text: _event("delta", index, delta={"type": delta[0], delta[1]: text}),
        _indexes,
        _deltas,
        _texts,
    ),
    st.builds(
        lambda index, delta, text: _event(
            "delta", index, delta={"type": "text_delta", delta[1]: text}
        ),
        _indexes,
        _deltas,
        _texts,
    ),
    st.builds(lambda index, block: _event("start", index, content_block=block), _indexes, _blocks),
    st.builds(lambda index: _event("stop", index), _indexes),
    st.sampled_from(
        [
            {"type": "ping"},
            {"type": "message_start", "message": {"role": "assistant", "content": []}},
            {"type": "message_stop"},
            {"type": "error", "error": {"message": "overloaded"}},
        ]
    ),
)


@given(
    st.lists(st.tuples(_events, st.integers(1, 4)), max_size=25),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.sampled_from(["", "content_block_delta", "error"]),
    st.sampled_from(["", "content_block_delta"]),
    st.sampled_from([0, 0, 1, 2, 3, 30]),
)
def test_deltas_that_go_on_are_read_as_the_decoder_reads_them(
    events: list[tuple[dict[str, Any], int]],
    separators: tuple[str, str],
    name: str,
    usual_name: str,
    cut_bytes: int,
) -> None:
    stream = b""
    for number, (event, times) in enumerate(events):
        data = json.dumps(event, separators=separators).encode()
        # The last of several is named differently.
        for turn in range(times):
            other = name if number % 5 == 4 and turn == times - 1 else usual_name
            stream += serialise(data, other)
    stream = stream[: len(stream) - cut_bytes]
    assert answer_text._stream(stream) == _one_by_one(stream)


_DELTA = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%s}%s}'
_START = (
    'data: {"type":"message_start","message":{"content":[]}}\n\n'
    'data: {"type":"content_block_start","index":0,'
    '"content_block":{"type":"text","text":""}}\n\n'
)


def _lines(*texts: str, tail: str = "", end: str = "\n\n") -> bytes:
    """Return a stream of deltas with these texts, which are JSON or what is taken for it."""
    events = "".join(f"data: {_DELTA % (text, tail)}{end}" for text in texts)
    return (_START + events).encode()


@pytest.mark.parametrize(
    "stream",
    [
        _lines('"a"', '"b"', '"c"', tail="      "),
        _lines('"a"', '"b","c"', '"d"'),
        _lines('"a"', '"b","text":"c"', '"d"'),
        _lines('"a"', '"b"}', '"d"'),
        _lines('"a"', '"b}}"', '"}"', '" }} "'),
        _lines('"a"', "1", "null", '"d"'),
        _lines('"a"', '"\\ud83d"', '"\\ude00"', '"d"'),
        _lines('"a"', '"\t"', '"\r"', '"d"'),
        _lines('"a"', '"b"', end="\nid: 7\n\n"),
        _lines('"a"', '"b"', end="\n: said in between\n\n"),
        _lines('"a"', '"b"', end="\r\n\r\n"),
        _lines('"a"', '"b"', end="\n\n\n\n"),
        _lines('"a"', '"b"').replace(b"data: ", b"id: 1\ndata: "),
        _lines('"a"', '"b"').replace(b"data: ", b"event: error\ndata: "),
        _lines('"a"', '"b"').replace(b"content_block_delta", b"content_block_\\u0064elta"),
        b'data: content_block_delta" is no delta\n\n' + _lines('"a"', '"b"'),
    ],
)
def test_odd_runs_of_deltas_are_read_one_by_one(stream: bytes) -> None:
    expected = _one_by_one(stream)
    assert answer_text._stream(stream) == expected
    assert answer_text._stream(stream[:-1]) == _one_by_one(stream[:-1])


def test_what_is_a_run_is_not_read_one_by_one() -> None:
    stream = _lines(*['"word "'] * 50, tail="  ").replace(
        b"data: ", b"event: content_block_delta\ndata: "
    )
    with patch.object(
        answer_text._ReadEvents, "read", autospec=True, side_effect=_READ
    ) as read_one:
        assert answer_text._stream(stream) == (Piece("text", "word " * 50),)
    assert read_one.call_count == 3


_READ = answer_text._ReadEvents.read


def _one_by_one(stream: bytes) -> Any:
    never = re.compile(rb"(?!)")
    with patch.object(answer_text, "_ANTHROPIC_DELTA", never):
        return answer_text._stream(stream)
