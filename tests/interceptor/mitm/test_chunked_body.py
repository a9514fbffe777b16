"""The quick reader of chunked bodies reads what h11's own reads, and refuses what that refuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import h11
import pytest
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interceptor.mitm.chunked_body import (
    MAX_CHUNK_BYTES,
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
    BoundedChunkedReader,
    FastChunkedReader,
    complete_chunks,
)

# A busy machine is no defect.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LAST = b"0\r\n\r\n"
CHUNKS = st.lists(
    st.binary(min_size=1, max_size=40)
    | st.sampled_from([LAST, b"\r\n", b"5\r\nhello\r\n", b"a" * 70_000])
)
ALMOST = st.lists(
    st.sampled_from(
        [
            b"0",
            b"5",
            b"a",
            b"B",
            b"\r\n",
            b"\r",
            b"\n",
            b";",
            b"+",
            b"x",
            b"_",
            b" ",
            b"hello",
            LAST,
        ]
    ),
    max_size=16,
).map(b"".join)


@dataclass
class Outcome:
    """What a reader made of a body."""

    body: bytes = b""
    ended: bool = False
    refused: bool = False
    left: bytes = b""
    parts: int = 0


def read(reader: ChunkedReader, pieces: Iterable[bytes]) -> Outcome:
    buffer, outcome = ReceiveBuffer(), Outcome()
    for piece in pieces:
        buffer += piece
        try:
            while not outcome.ended and (part := reader(buffer)) is not None:
                outcome.ended = isinstance(part, h11.EndOfMessage)
                if isinstance(part, h11.Data):
                    outcome.body, outcome.parts = outcome.body + bytes(part.data), outcome.parts + 1
        except h11.ProtocolError:
            outcome.refused = True
            break
    outcome.left = bytes(buffer)
    return outcome


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(wire) + 1) for place in places}), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges)]


def framed(chunks: Iterable[bytes], *, upper: bool = False, extension: bytes = b"") -> bytes:
    size = b"%X" if upper else b"%x"
    return b"".join(size % len(chunk) + extension + b"\r\n" + chunk + b"\r\n" for chunk in chunks)


both_readers = pytest.mark.parametrize("reader", [BoundedChunkedReader, FastChunkedReader])


@both_readers
@unhurried
@given(
    chunks=CHUNKS,
    places=st.lists(st.integers(0, 10_000), max_size=30),
    upper=st.booleans(),
    extension=st.sampled_from([b"", b";a=b", b"; a", b'; name="value"', b" "]),
)
def test_any_chunks_in_any_pieces(
    reader: type[ChunkedReader],
    chunks: list[bytes],
    places: list[int],
    upper: bool,
    extension: bytes,
) -> None:
    wire = framed(chunks, upper=upper, extension=extension) + LAST
    pieces = cut(wire + b"GET /next", places)
    ours, theirs = read(reader(), pieces), read(ChunkedReader(), pieces)
    assert (ours.body, ours.ended, ours.refused) == (b"".join(chunks), True, False)
    assert (theirs.body, theirs.ended, theirs.left) == (ours.body, True, ours.left)


@both_readers
@unhurried
@given(chunks=CHUNKS)
def test_what_follows_the_body_is_left(reader: type[ChunkedReader], chunks: list[bytes]) -> None:
    outcome = read(reader(), [framed(chunks) + LAST + b"GET / HTTP/1.1\r\n\r\n"])
    assert (outcome.ended, outcome.left) == (True, b"GET / HTTP/1.1\r\n\r\n")


@both_readers
@unhurried
@given(chunks=CHUNKS)
def test_without_a_last_chunk_there_is_no_end(
    reader: type[ChunkedReader], chunks: list[bytes]
) -> None:
    outcome = read(reader(), [framed(chunks)])
    assert (outcome.body, outcome.ended, outcome.refused) == (b"".join(chunks), False, False)


@both_readers
@unhurried
@given(start=CHUNKS, wire=ALMOST)
def test_nothing_is_taken_that_h11_refuses(
    reader: type[ChunkedReader], start: list[bytes], wire: bytes
) -> None:
    pieces = [framed(start) + wire]
    ours, theirs = read(reader(), pieces), read(ChunkedReader(), pieces)
    if ours.refused:
        assert not theirs.ended and theirs.body.startswith(ours.body)
    else:
        assert (ours.body, ours.ended, ours.left) == (theirs.body, theirs.ended, theirs.left)
        assert not theirs.refused


@both_readers
@pytest.mark.parametrize(
    "size", [b"+5", b"-5", b"0x5", b"5_0", b" 5", b"", b"\t5", b"5\n", b"5\r", b"g", b"5 5"]
)
@pytest.mark.parametrize("before", [b"", b"3\r\nabc\r\n"])
def test_malformed_sizes_are_refused(
    reader: type[ChunkedReader], size: bytes, before: bytes
) -> None:
    wire = before + size + b"\r\nhello\r\n" + LAST
    outcome = read(reader(), [wire])
    assert outcome.refused and b"hello" not in outcome.body
    assert read(ChunkedReader(), [wire]).refused


@both_readers
@pytest.mark.parametrize("line", [b"5", b"05", b"00005", b"5;a=b", b"5 ", b"5\t", b'5; a="b"'])
def test_good_sizes_are_read(reader: type[ChunkedReader], line: bytes) -> None:
    outcome = read(reader(), [line + b"\r\nhello\r\n" + LAST])
    assert (outcome.body, outcome.ended) == (b"hello", True)


@both_readers
@pytest.mark.parametrize("footer", [b"XX", b"\n\n", b"\rX", b"0\r", b"3\r\nabc\r\n"])
@pytest.mark.parametrize("sent_before", [0, 1, 3, 5, 8])
def test_a_chunk_ends_where_its_size_says(
    reader: type[ChunkedReader], footer: bytes, sent_before: int
) -> None:
    wire = b"5\r\nhello" + footer + LAST
    outcome = read(reader(), [wire[:sent_before], wire[sent_before:]])
    assert (outcome.body, outcome.refused, outcome.ended) == (b"hello", True, False)


@both_readers
@pytest.mark.parametrize(
    "wire",
    [
        b"%x" % (MAX_CHUNK_BYTES + 1),
        b"0" * 17,
        b"5;" + b"a" * MAX_CHUNK_LINE_BYTES,
        b"5\nhello",
        b"0\r\n" + b"X-A: 1\r\n" * (MAX_TRAILER_BYTES // 8 + 1),
    ],
)
def test_what_can_never_become_good_is_refused_before_it_ends(
    reader: type[ChunkedReader], wire: bytes
) -> None:
    assert read(reader(), [b"3\r\nabc\r\n", wire[:3], wire[3:], b""]).refused


def test_a_chunk_that_is_there_as_a_whole_does_without_h11(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        pytest.fail("h11 was asked")

    monkeypatch.setattr(ChunkedReader, "__call__", fail)
    buffer = ReceiveBuffer()
    buffer += b"5\r\nhello\r\nA\r\n0123456789\r\n"
    reader = FastChunkedReader()
    parts = [reader(buffer), reader(buffer)]
    assert [bytes(part.data) for part in parts if isinstance(part, h11.Data)] == [
        b"hello",
        b"0123456789",
    ]
    assert not buffer


@unhurried
@given(st.lists(st.binary(min_size=1, max_size=40)), st.booleans(), st.integers(0, 30))
def test_complete_chunks_are_what_the_reader_reads(
    pieces: list[bytes], ends: bool, missing: int
) -> None:
    data = framed(pieces) + (LAST if ends else b"")
    data = data[: max(0, len(data) - missing)]
    found = complete_chunks(data)
    whole = read(FastChunkedReader(), [data])
    if found is not None:
        assert framed(found) == data
        assert (b"".join(found), whole.ended, whole.refused) == (whole.body, False, False)
    elif not ends and not missing:
        raise AssertionError("complete chunks were not recognised")


@unhurried
@given(ALMOST)
def test_what_is_no_plain_chunk_is_left_to_the_reader(data: bytes) -> None:
    found = complete_chunks(data)
    if found is not None:
        whole = read(FastChunkedReader(), [data])
        assert (b"".join(found), whole.ended, whole.refused) == (whole.body, False, False)
