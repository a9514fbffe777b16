"""Ids are found as a pattern of all names finds them, which is slower and plain."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from flows.bytes.json_ids import IdFields

_NAMES = ("id", "call_id", "item_id")
_FIELDS = IdFields(*_NAMES, value=rb"[a-z_]{2,5}")
_PLAIN = re.compile(rb'"(?:id|call_id|item_id)" ?: ?"([a-z_]{2,5})"')
_PIECES = st.sampled_from(
    [
        b'"', b"id", b'"id"', b'"call_id"', b'"item_id": ', b'"void"', b'"my_id"', b":", b": ", b" ",
        b'"msg_a"', b'"toolong"', b'"x"', b'"ab"', b",", b"{", b"}", b"\n",
    ]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=30).map(b"".join))
def test_values_are_those_of_the_fields_with_these_names(data: bytes) -> None:
    # A value is closed by its quote, which opens no name: with it the plain pattern goes on.
    expected = [found[1] for found in _PLAIN.finditer(data)]
    assert list(_FIELDS.find(data)) == expected


def test_the_values_of_other_fields_are_none() -> None:
    data = b'{"id":"abc","uuid":"no","call_id" : "de","item_id":7,"item_id":"fgh"}'
    assert list(_FIELDS.find(data)) == [b"abc", b"de", b"fgh"]
