"""Bodies: parsed once, written back only when changed, in the encoding they came in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.bytes.decode import decode
from interceptor.pipeline.body import Body, encode
from providers.wire.core.framed_json import MIN_BYTES
from providers.wire.core.jsonio import dumps, loads

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "deflate", "br", "zstd"])
@given(value=st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_reading_changes_no_byte_and_writing_changes_only_what_it_says(
    encoding: str, value: dict[str, object]
) -> None:
    plain = json.dumps(value, indent=1).encode()
    body = Body(encode(plain, encoding), encoding)
    before = body.data
    assert body.json == value
    body.canonical()
    assert body.write_back() is None and body.data is before
    body.json["added"] = 1
    change = body.write_back()
    assert change is not None and change[0] == plain
    assert json.loads(decode(body.data, encoding).data) == {**value, "added": 1}


@given(
    data=st.binary(max_size=200),
    encoding=st.sampled_from(["gzip", "deflate", "br", "zstd", "x-unknown", "gzip, br"]),
)
def test_garbage_is_passed_on_unread(data: bytes, encoding: str) -> None:
    body = Body(data, encoding)
    body.canonical()
    assert body.write_back() is None and body.data == data


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_passed_on_unread(encoding: str) -> None:
    body = Body(encode(b"[" + b" " * 5_000_000 + b"]", encoding), encoding)
    assert body.json is None and body.decoded() is None


def test_reverting_forgets_changes() -> None:
    body = Body(b'{"a": 1}')
    body.canonical()
    body.json["a"] = 2
    body.revert()
    assert body.json == {"a": 1} and body.data == b'{"a": 1}'


LONG_TEXT = "x" * MIN_BYTES


def opened(value: Any) -> Body:
    body = Body(dumps(value))
    body.peek()
    return body


def test_a_body_that_is_replaced_keeps_the_bytes_of_its_conversation() -> None:
    first = {"model": "keeps", "messages": [LONG_TEXT], "stop": ["a"]}
    opened(first).replace_json({**first, "stop": ["b"]})
    # The client writes "é" as an escape, which we would not.
    data = dumps(first).replace(b'"messages":["', b'"messages":["caf\\u00e9 ')
    body = Body(data)
    parsed = body.peek()
    body.replace_json({"system": ["s"], "messages": parsed["messages"], "model": "other"})
    change = body.write_back()
    assert change is not None and change[0] is data
    assert body.data == (
        b'{"system":["s"],"messages":["caf\\u00e9 ' + LONG_TEXT.encode() + b'"],"model":"other"}'
    )
    assert body.written() is body.data
    # Nothing changed since, whatever the form of the copied bytes.
    assert body.json["model"] == "other" and body.write_back() is None


def test_a_conversation_that_a_hook_changed_is_encoded() -> None:
    first = {"model": "encodes", "messages": [LONG_TEXT]}
    opened(first).replace_json(dict(first))
    body = opened(first)
    body.json["messages"].append("added")
    # Not written back yet: the bytes do not have it.
    body.replace_json({"messages": body.peek()["messages"]})
    body.write_back()
    assert loads(body.data) == {"messages": [LONG_TEXT, "added"]}
    body.json["messages"].append("more")
    body.write_back()
    body.replace_json({"a": 1, "messages": body.peek()["messages"]})
    body.write_back()
    assert loads(body.data) == {"a": 1, "messages": [LONG_TEXT, "added", "more"]}
    other = opened(first)
    other.replace_json({"messages": [*other.peek()["messages"], "new"]})
    other.write_back()
    assert loads(other.data) == {"messages": [LONG_TEXT, "new"]}


def test_a_second_key_of_one_name_cannot_hide_in_a_copied_conversation() -> None:
    first = {"stop": [LONG_TEXT], "messages": [1], "model": "cheap"}
    opened(first).replace_json(dict(first))
    hidden = dumps(first).replace(b'"messages":[1]', b'"messages":[1],"model":"dear","stop":[1]')
    body = Body(hidden)
    parsed = body.peek()
    assert parsed == loads(hidden)
    body.replace_json({"model": parsed["model"], "messages": parsed["messages"]})
    body.write_back()
    assert body.data == b'{"model":"cheap","messages":[1]}'
