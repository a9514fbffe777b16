"""Heads and chunks in any pieces."""

from __future__ import annotations

import h11
import pytest
from h11._receivebuffer import ReceiveBuffer

from interceptor.mitm.chunked_body import BoundedChunkedReader
from interceptor.mitm.request_head import (
    Head,
    HeadRefused,
    blank_lines,
    check_unfinished,
    read_head,
)
from interceptor.mitm.response_head import BadResponse, end_of_head


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_chunks_in_any_pieces(step: int) -> None:
    wire = b"5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n"
    reader, buffer, got, ended = BoundedChunkedReader(), ReceiveBuffer(), b"", False
    for start in range(0, len(wire), step):
        buffer += wire[start : start + step]
        while (part := reader(buffer)) is not None and not ended:
            if isinstance(part, h11.Data):
                got += part.data
            else:
                assert not part.headers
                ended = True
                break
    assert ended and got == b"helloabc"


def test_a_head_in_single_bytes_is_judged_as_early_as_possible() -> None:
    data = bytearray()
    for place, byte in enumerate(b"GET /v1/x HTTP/9.9\r\nHost: x\r\n"):
        data.append(byte)
        try:
            check_unfinished(data, max(0, place - 1))
        except HeadRefused as refused:
            assert (refused.status_code, bytes(data[-2:])) == (505, b"\r\n")
            return
    pytest.fail("it was taken")


def test_heads() -> None:
    assert read_head(b"GET / HTTP/1.1\r\nHost: x") == Head(
        b"GET", b"/", b"HTTP/1.1", ((b"Host", b"x"),), 0
    )
    assert blank_lines(b"\r\n\r\nGET") == 4
    assert end_of_head(b"HTTP/1.1 200 OK\r\n\r\nrest", 0) == 19
    assert end_of_head(b"HTT", 0) is None
    with pytest.raises(BadResponse):
        end_of_head(b"<html>", 0)
