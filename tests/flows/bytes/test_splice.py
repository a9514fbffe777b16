"""A body stored as stretches of another one comes back byte for byte, and a damaged one is
refused.
"""

from __future__ import annotations

import random
import struct
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from flows.bodies.packed_body import pack_against, unpack
from flows.bytes.matching import Block, Matching, match_bodies
from flows.bytes.splice import MalformedSplice, decode, encode

_EDITS = st.lists(
    st.tuples(st.integers(0, 9000), st.integers(0, 600), st.binary(max_size=300)), max_size=5
)
_TEXT = random.Random(5).randbytes(4500) + b"the quick brown fox " * 225


def edited(text: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    return text


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_any_body_comes_back_over_any_base(data: bytes, base: bytes) -> None:
    assert decode(encode(data, match_bodies(data, base)), base, len(data)) == data


@given(_EDITS, _EDITS)
def test_edits_come_back(
    ours: list[tuple[int, int, bytes]], theirs: list[tuple[int, int, bytes]]
) -> None:
    data, base = edited(_TEXT, ours), edited(_TEXT, theirs)
    assert decode(encode(data, match_bodies(data, base)), base, len(data)) == data
    encoding, blob = pack_against(data, base)
    assert unpack(encoding, len(data), blob, base) == data


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 8000), st.integers(1, 500)), max_size=8),
    st.binary(),
)
def test_stretches_come_back_in_any_order(named: list[tuple[int, int, int]], end: bytes) -> None:
    data, found = b"", []
    for new, base_at, size in named:
        data += bytes(new)
        found.append(Block(len(data), base_at, size))
        data += _TEXT[base_at : base_at + size]
    data += end
    assert decode(encode(data, Matching(_TEXT, len(data), tuple(found))), _TEXT, len(data)) == data


def test_a_turn_costs_what_it_adds_and_the_rest_is_left_to_zstd() -> None:
    chance = random.Random(2)
    base = chance.randbytes(1_000_000)
    added = chance.randbytes(5000)
    for at in (0, 300_000, len(base)):
        encoding, blob = pack_against(base[:at] + added + base[at:], base)
        assert encoding == "splice"
        assert len(blob) < len(added) + 100
    moved = base[600_000:] + base[:600_000]
    assert pack_against(moved, base)[0] == "delta"


def test_new_text_is_packed_with_the_text_before_it() -> None:
    line = b"".join(
        b"line %d of the program, as it was read\n" % (number * 7919) for number in range(40)
    )
    base = random.Random(1).randbytes(100_000) + line + b"]}"
    data = base[:-2] + b"," + line + b"]}"
    assert len(encode(data, match_bodies(data, base))) < len(zstandard.compress(line)) / 3


@given(st.data())
def test_damaged_blobs_are_refused_or_give_as_many_bytes(data: st.DataObject) -> None:
    base = _TEXT
    body = base[:3000] + b"new text, " * 30 + base[3100:]
    blob = bytearray(encode(body, match_bodies(body, base)))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(blob[: data.draw(st.integers(0, len(blob)))])
    for damaged in (bytes(blob), cut):
        with suppress(MalformedSplice):
            assert len(decode(damaged, base, len(body))) == len(body)


@given(st.binary(max_size=200), st.integers(0, 5000))
def test_what_is_no_splice_is_refused(blob: bytes, size: int) -> None:
    with suppress(MalformedSplice):
        assert len(decode(blob, b"base", size)) == size


def test_another_base_and_another_size_are_refused() -> None:
    body = _TEXT + b"more"
    blob = encode(body, match_bodies(body, _TEXT))
    for base, size in (
        (b"", len(body)),
        (_TEXT[:-1], len(body)),
        (_TEXT, len(body) - 9),
        (_TEXT, len(body) + 1),
    ):
        with pytest.raises(MalformedSplice):
            decode(blob, base, size)


def test_a_frame_that_would_unfold_is_refused_before_it_does() -> None:
    bomb = zstandard.compress(bytes(50_000_000))
    blob = struct.pack(">?HII", True, 0, 0, 0) + bomb
    with pytest.raises(MalformedSplice):
        decode(blob, b"", 1000)


def test_a_body_too_large_for_the_header_is_left_to_zstd() -> None:
    body = random.Random(1).randbytes(20_001)
    assert pack_against(body, body[:-1], max_splice_bytes=20_000)[0] == "delta"
    assert pack_against(body[1:], body[:-1], max_splice_bytes=20_000)[0] == "splice"
