"""What two bodies share is really the same, in order, and found where agents leave it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.bytes.matching import (
    MAX_PROBED_BLOCKS,
    MIN_BLOCK_BYTES,
    Matching,
    common_prefix,
    match_bodies,
)

_WORDS = st.lists(
    st.sampled_from([b"a", b"bc", b'{"role": "user"}' * 30, b"text " * 40, bytes(range(256)) * 2])
)


def check(data: bytes, base: bytes) -> Matching:
    found = match_bodies(data, base)
    end = base_end = 0
    for block in found.blocks:
        assert block.size >= MIN_BLOCK_BYTES
        assert end <= block.start
        assert base_end <= block.base_start
        assert data[block.start : block.end] == base[block.base_start : block.base_end]
        end, base_end = block.end, block.base_end
    assert end <= len(data)
    assert base_end <= len(base)
    assert len(found.blocks) <= MAX_PROBED_BLOCKS + 2
    return found


@given(st.binary(max_size=600), st.binary(max_size=600))
def test_any_two_bodies(data: bytes, base: bytes) -> None:
    check(data, base)


@given(_WORDS, _WORDS)
def test_bodies_of_the_same_words(data: list[bytes], base: list[bytes]) -> None:
    check(b"".join(data), b"".join(base))


@given(st.integers(0, 3000), st.binary(max_size=4), st.binary(max_size=4))
def test_the_prefix_is_counted_to_the_byte(size: int, one: bytes, other: bytes) -> None:
    text = random.Random(size).randbytes(size)
    data, base = text + b"." + one, text + b":" + other
    assert common_prefix(data, base) == size
    assert common_prefix(data, data) == len(data)
    assert check(data, base).prefix_bytes == (size if size >= MIN_BLOCK_BYTES else 0)


@pytest.mark.parametrize("size", [20_000, 900_000])
def test_a_date_at_the_front_a_mark_that_moves_and_a_new_message(size: int) -> None:
    text = random.Random(size).randbytes(size)
    third = size // 3
    base = b'{"date":"2026-11-27",' + text[:third] + b',"mark":1}' + text[third:] + b'"mark":1}]}'
    message = random.Random(1).randbytes(3000)
    data = (
        b'{"date":"2026-12-1",'
        + text[:third]
        + b"}"
        + text[third:]
        + b","
        + message
        + b'"mark":1}]}'
    )
    found = check(data, base)
    assert found.new_bytes < len(message) + 100
    assert check(base, data).new_bytes < 100


def test_every_byte_is_in_a_stretch_or_between_two_seams() -> None:
    text = random.Random(3).randbytes(5000)
    assert match_bodies(text, text).gaps() == []
    assert match_bodies(text + b"+" * 500, text).gaps() == [(5000, 5500)]
    assert match_bodies(text, text + b"-" * 500).gaps() == [(5000, 5000)]
    assert match_bodies(text[:2000] + text[2500:], text).gaps() == [(2000, 2000)]
    assert match_bodies(text[::-1], text).gaps() == [(0, 5000)]


def test_stretches_that_begin_alike_and_do_not_go_on_are_not_taken() -> None:
    base = (b"a" * 40 + b"b") * 25_000
    data = (b"a" * 41 + b"c") * 25_000
    assert len(check(data, base).blocks) <= 2
