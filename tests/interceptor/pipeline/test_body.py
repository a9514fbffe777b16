"""Bodies: parsed once, written back only when changed, in the encoding they came in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.bytes.decode import decode
from interceptor.pipeline.body import Body, encode

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
