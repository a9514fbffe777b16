"""What `interceptor.mitm.http1_layers` relies on in mitmproxy and h11: when one of these fails,
read that module again.
"""

from __future__ import annotations

import inspect
from importlib.metadata import version

import h11
import pytest
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _http1

from interceptor.mitm import http1_layers
from interceptor.mitm.chunked_body import BoundedChunkedReader
from interceptor.mitm.request_head import (
    Head,
    HeadRefused,
    blank_lines,
    check_unfinished,
    read_head,
)
from interceptor.mitm.response_head import BadAnswer, end_of_head


def test_the_versions() -> None:
    assert version("mitmproxy").startswith("12.2.")
    assert version("h11") >= "0.16"


def test_the_classes_are_looked_up_by_name() -> None:
    http1_layers.install()
    assert issubclass(http.HttpStream, http1_layers.LimitedStream)
    assert vars(http)["Http1Server"] is http1_layers.LimitedServer
    assert vars(http)["Http1Client"] is http1_layers.LimitedClient
    assert "Http1Server(self.context" in inspect.getsource(http.HttpLayer._handle_event)
    assert "Http1Client(self.context" in inspect.getsource(http.HttpClient._handle_event)
    assert "HttpStream(ctx, stream_id)" in inspect.getsource(http.HttpLayer.make_stream)


def test_what_is_overridden_is_called_where_it_was() -> None:
    headers = inspect.getsource(http.HttpStream.state_wait_for_request_headers)
    hook = headers.index("HttpRequestHeadersHook(self.flow)")
    assert (
        headers.index("self.check_killed(True)")
        > hook
        > headers.index("self.check_body_size(True)")
    )
    assert headers.index("100-continue") > headers.index("self.check_killed(True)")
    body = inspect.getsource(http.HttpStream.state_consume_response_body)
    assert "self.check_body_size(False)" in body and "response_body_buf" in body
    for name in ("read_headers", "read_body", "send", "mark_done"):
        assert callable(getattr(_http1.Http1Server, name)) and callable(
            getattr(_http1.Http1Client, name)
        )
    for name in (
        "wait",
        "done",
        "state",
        "request",
        "response",
        "request_done",
        "response_done",
        "stream_id",
    ):
        assert hasattr(_http1.Http1Server, name)
    for name in ("state_stream_response_body", "state_errored", "handle_protocol_error"):
        assert callable(getattr(http.HttpStream, name))


def test_the_chunk_reader_keeps_its_state_where_we_look() -> None:
    reader, buffer = ChunkedReader(), ReceiveBuffer()
    assert (reader._bytes_in_chunk, reader._bytes_to_discard, reader._reading_trailer) == (
        0,
        b"",
        False,
    )
    buffer += b"5\r\nhel"
    part = reader(buffer)
    assert isinstance(part, h11.Data) and (part.data, reader._bytes_in_chunk) == (b"hel", 2)
    buffer += b"lo"
    reader(buffer)
    assert reader._bytes_to_discard == b"\r\n"
    assert isinstance(buffer._data, bytearray)


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
    with pytest.raises(BadAnswer):
        end_of_head(b"<html>", 0)
