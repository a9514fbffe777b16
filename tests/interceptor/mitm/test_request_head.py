"""`read_head` takes what a strict reading line by line takes, with the same fields, and refuses the
rest.
"""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interceptor.mitm.request_head import MAX_HEADERS, HeadRefused, read_head

TOKEN = frozenset(b"!#$%&'*+-.^_`|~" + (string.ascii_letters + string.digits).encode())
CONTROLS = frozenset(range(32)) - {9} | {127}
FRAMING = {b"host", b"content-length", b"transfer-encoding", b"expect"}
START = b"POST /v1/messages HTTP/1.1\r\nHost: x"

GOOD_NAMES = st.binary(min_size=1, max_size=8).map(
    lambda raw: bytes(sorted(TOKEN)[b % len(TOKEN)] for b in raw)
)
GOOD_TEXTS = st.binary(max_size=12).map(lambda raw: bytes(b for b in raw if b not in CONTROLS))
GOOD_FIELDS = st.lists(
    st.tuples(
        GOOD_NAMES.filter(lambda name: name.lower() not in FRAMING),
        st.sampled_from([b"", b" ", b" \t "]),
        GOOD_TEXTS,
    )
)
ANY_LINE = (
    st.tuples(
        GOOD_NAMES, st.sampled_from([b":", b": ", b" :", b"", b"::", b"\t:"]), GOOD_TEXTS
    ).map(b"".join)
    | st.tuples(GOOD_NAMES, st.just(b": a"), st.sampled_from([bytes([b]) for b in range(256)])).map(
        b"".join
    )
    | st.tuples(st.sampled_from([bytes([b]) for b in range(256)]), st.just(b"x: a")).map(b"".join)
    | st.sampled_from(
        [
            b"",
            b" folded",
            b": no name",
            b"Host: y",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
        ]
    )
    | st.binary(max_size=12)
)


def by_line(head: bytes) -> tuple[tuple[bytes, bytes], ...] | None:
    """The fields as a strict reader finds them one line after the other; None when one of the lines
    is bad.
    """
    fields = []
    for line in head.split(b"\r\n")[1:]:
        name, colon, text = line.partition(b":")
        if not name or not colon or not TOKEN.issuperset(name) or not CONTROLS.isdisjoint(text):
            return None
        fields.append((name, text.strip(b" \t")))
    return tuple(fields)


@given(lines=st.lists(ANY_LINE, max_size=5), as_bytearray=st.booleans())
@example(lines=[b"a: b\nEvil: 1"], as_bytearray=True)
@example(lines=[b"a: b\rEvil: 1"], as_bytearray=True)
@example(lines=[b"a: b", b""], as_bytearray=True)
@example(lines=[b"a\xff: b"], as_bytearray=True)
def test_it_takes_what_a_strict_reader_takes(lines: list[bytes], as_bytearray: bool) -> None:
    head = b"\r\n".join([START, *lines])
    wanted = by_line(head)
    try:
        taken = read_head(bytearray(head) if as_bytearray else head)
    except HeadRefused as refused:
        framed = [name.lower() for name, _ in wanted or () if name.lower() in FRAMING]
        assert wanted is None or framed != [b"host"], f"a good head was refused: {refused}"
        assert refused.status_code in (400, 417)
    else:
        assert taken.fields == wanted
        assert all(type(part) is bytes for pair in taken.fields for part in pair)


@given(fields=GOOD_FIELDS)
def test_good_lines_are_taken_in_order(fields: list[tuple[bytes, bytes, bytes]]) -> None:
    head = b"".join(
        [START, *(b"\r\n%s:%s%s%s" % (name, space, text, space) for name, space, text in fields)]
    )
    taken = read_head(head)
    assert taken.fields == by_line(head)
    assert [name for name, _ in taken.fields] == [b"Host", *(name for name, _, _ in fields)]
    assert [text for _, text in taken.fields[1:]] == [text.strip(b" \t") for _, _, text in fields]


@pytest.mark.parametrize("place", [0, 1, MAX_HEADERS // 2, MAX_HEADERS - 2])
def test_one_bad_line_among_many_is_found(place: int) -> None:
    lines = [b"x-%d: 1" % number for number in range(MAX_HEADERS - 1)]
    assert len(read_head(b"\r\n".join([START, *lines])).fields) == MAX_HEADERS
    lines[place] = b"bad name: 1"
    with pytest.raises(HeadRefused, match="malformed"):
        read_head(b"\r\n".join([START, *lines]))
    lines[place] = b"x: \x00"
    with pytest.raises(HeadRefused, match="control character"):
        read_head(b"\r\n".join([START, *lines]))
