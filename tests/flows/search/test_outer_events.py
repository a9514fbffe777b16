"""The first and the last events of a stream, found without cutting out those between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flows.reading.json_text import parse_json
from flows.search.body_parts import _outer_events

_PIECES = st.sampled_from(
    [b"data: %d", b"data:%d", b"event: x\n", b": comment", b"\n", b"\n\n", b"\n\n", b"\r", b" "]
)


def _numbered(pieces: list[bytes]) -> bytes:
    """Return a stream in which each line of data has a number of its own."""
    numbered = [piece % number if b"%" in piece else piece for number, piece in enumerate(pieces)]
    return b"".join(numbered)


def _outer_numbers(stream: bytes) -> list[bytes]:
    """Return the data of the first and the last three of all events, each cut out."""
    events = [event for event in stream.replace(b"\r", b"").split(b"\n\n") if event.strip()]
    lines = b"\n".join([*events[:1], *events[1:][-3:]]).split(b"\n")
    return [line[5:].strip() for line in lines if line.startswith(b"data:")]


@given(st.lists(_PIECES, max_size=25).map(_numbered))
def test_they_are_the_first_and_the_last_three(stream: bytes) -> None:
    expected = [parse_json(data).value for data in _outer_numbers(stream)]
    assert list(_outer_events(stream)) == expected


def test_of_many_events_four_are_read() -> None:
    stream = b"".join(b'data: {"n":%d}\n\n' % number for number in range(900))
    for more in (b"", b"\n\n", b"\n", b"data: [DONE]"):
        last = [None] if more.startswith(b"data") else []
        expected = [0, *range(897 + len(last), 900)]
        found = list(_outer_events(stream + more))
        assert [each["n"] for each in found if isinstance(each, dict)] == expected
        assert len(found) == 4
