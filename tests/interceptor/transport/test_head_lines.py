"""Header lines for libcurl, and from it."""

from __future__ import annotations

from interceptor.transport.head_lines import ResponseLines, request_lines


def test_request_lines_keep_order_case_and_duplicates() -> None:
    fields = ((b"X-A", b"1"), (b"TE", b"x"), (b"x-b", b""), (b"X-A", b"2"), (b"Accept", b"*/*"))
    assert request_lines(fields) == [
        b"X-A: 1",
        b"x-b;",
        b"X-A: 2",
        b"Accept: */*",
        b"content-type:",
        b"user-agent:",
        b"expect:",
        b"accept-encoding:",
    ]


def test_the_final_head_is_read_and_trailers_are_not() -> None:
    lines = ResponseLines()
    early = [b"HTTP/1.1 103 Early Hints\r\n", b"link: </a>\r\n", b"\r\n"]
    for line in (*early, b"HTTP/2 200 \r\n", b"A: 1\r\n", b"a:  2 \r\n"):
        lines.feed(line)
    assert lines.head is None
    for line in (b"\r\n", b"trailer: 1\r\n", b"\r\n"):
        lines.feed(line)
    assert lines.head is not None
    assert (lines.head.version, lines.head.status_code, lines.head.reason) == ("HTTP/2.0", 200, "")
    assert lines.head.fields == ((b"A", b"1"), (b"a", b"2"))
