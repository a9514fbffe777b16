"""A digest that goes on from an earlier one is the digest of the bytes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from flows.bytes.digest import STEP_BYTES, digest_of, resumable_digest

_TEXT = random.Random(1).randbytes(5 * STEP_BYTES)
_SIZES = st.one_of(
    st.integers(0, len(_TEXT)),
    st.tuples(st.integers(0, 5), st.integers(-2, 2)).map(
        lambda at: min(max(0, at[0] * STEP_BYTES + at[1]), len(_TEXT))
    ),
)


@given(_SIZES, _SIZES, st.binary(max_size=40), st.lists(st.binary(max_size=40), max_size=3))
def test_it_goes_on_from_any_body_with_the_same_beginning(
    size: int, same: int, end: bytes, ends: list[bytes]
) -> None:
    before = resumable_digest(_TEXT[:size])
    assert before.hex == digest_of(_TEXT[:size])
    for other in (end, *ends):
        data = _TEXT[: min(size, same)] + other
        digest = resumable_digest(data, before, min(size, same))
        assert digest.hex == digest_of(data)
        before, size = digest, min(size, same)


def test_what_was_hashed_before_is_not_hashed_again() -> None:
    before = resumable_digest(_TEXT)
    changed = _TEXT[: 3 * STEP_BYTES + 5] + b"!" + _TEXT[3 * STEP_BYTES + 6 :]
    after = resumable_digest(changed, before, 3 * STEP_BYTES + 5)
    assert [one is other for one, other in zip(after.states, before.states, strict=True)] == [
        True
    ] * 3 + [False] * 2
    assert after.held_bytes > resumable_digest(b"").held_bytes == 0
