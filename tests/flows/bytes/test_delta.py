"""A body stored as an addition to another one comes back byte for byte, whatever the two are."""

from __future__ import annotations

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from flows.bytes import delta


@given(st.binary(max_size=4000), st.binary(max_size=4000))
def test_any_body_comes_back_over_any_base(data: bytes, base: bytes) -> None:
    assert delta.decode(delta.encode(data, base), base, len(data)) == data


@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.binary(max_size=200),
    st.sampled_from((37, 100, 1000)),
)
def test_edits_come_back_when_bodies_have_many_segments(
    at: int, cut: int, put: bytes, segment_bytes: int
) -> None:
    base = random.Random(1).randbytes(1500)
    data = base[: at * 5] + put + base[at * 5 + cut :]
    blob = delta.encode(data, base, segment_bytes, 50)
    assert delta.decode(blob, base, len(data), segment_bytes, 50) == data


@pytest.mark.parametrize("size_mb", [1, 5])
def test_a_turn_costs_what_it_adds_wherever_it_stands(size_mb: int) -> None:
    chance = random.Random(size_mb)
    base = chance.randbytes(size_mb * 1_000_000)
    added = chance.randbytes(10_000)
    for at in (0, 700_000, len(base) - 5000, len(base)):
        data = base[:at] + added + base[at:]
        blob = delta.encode(data, base)
        assert len(blob) < 1.2 * len(added) + len(base) / 500, at
        assert delta.decode(blob, base, len(data)) == data


def test_another_base_is_refused() -> None:
    base = b"".join(b"line %d of the base\n" % number for number in range(500))
    blob = delta.encode(base + b"more", base)
    with pytest.raises(zstandard.ZstdError):
        delta.decode(blob, b"", len(base) + 4)
