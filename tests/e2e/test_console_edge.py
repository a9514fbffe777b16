"""The console answers at once what it will never read to its end."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.process import Interceptor
from tests.patience import PATIENCE_S

POST = b"POST /admin/login/ HTTP/1.1\r\n"


def first_line(port: int, request: bytes) -> bytes:
    """The status line of the response to bytes that may never end."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        client.sendall(request.replace(b"HOST", b"Host: 127.0.0.1:%d\r\n" % port))
        with client.makefile("rb") as answer:
            return answer.readline().strip()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + b"HOSTContent-Length: " + b"9" * 40 + b"\r\n\r\nx", b"413"),
        (POST + b"HOSTContent-Length: " + b"9" * 5000 + b"\r\n\r\nx", b"413"),
        (POST + b"HOSTContent-Length: " + b"9" * 39 + b"x\r\n\r\nx", b"400"),
        (POST + b"HOSTContent-Length: -1\r\n\r\nx", b"400"),
        (POST + b"HOSTTransfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nx", b"400"),
        (POST + b"HOSTTransfer-Encoding: chunked\r\n\r\n10000000001\r\nx", b"400"),
        (b"GET /flows/?q=" + b"a" * 20_000 + b" HTTP/1.1\r\nHOST\r\n", b"414"),
        (b"GET /flows/?q=" + b"a" * 200_000 + b" HTTP/1.1\r\nHOST\r\n", b"414"),
        (b"GET /flows/ HTTP/1.1\r\nHOSTX-A: " + b"a" * 200_000 + b"\r\n\r\n", b"431"),
    ],
    ids=lambda value: value[:3].decode() if len(value) == 3 else "",
)
def test_it_is_refused_at_once(interceptor: Interceptor, request_: bytes, status: bytes) -> None:
    assert first_line(interceptor.console_port, request_).split()[1] == status


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"HOSTContent-Length: 0000000000000003\r\n\r\na=b",
        POST + b"HOSTTransfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
        b"GET /admin/login/?q=" + b"a" * 8_000 + b" HTTP/1.1\r\nHOST\r\n",
    ],
)
def test_what_ends_is_read(interceptor: Interceptor, request_: bytes) -> None:
    assert first_line(interceptor.console_port, request_).split()[1] in (b"200", b"403")
