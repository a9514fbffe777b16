"""What the second try relies on inside mitmproxy."""

from __future__ import annotations

import inspect

from mitmproxy import version
from mitmproxy.hooks import all_hooks
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream, _http1, _http2

from interceptor.mitm import http1_layers, second_try


def test_this_is_the_mitmproxy_it_was_written_against() -> None:
    assert version.VERSION.startswith("12.2."), (
        "read interceptor/mitm/second_try.py again before you raise this"
    )


def test_streams_are_made_from_the_name_that_is_replaced() -> None:
    assert "HttpStream" in HttpLayer.make_stream.__code__.co_names
    http1_layers.install()
    second_try.install()
    from mitmproxy.proxy.layers import http

    assert http.HttpStream is second_try.SecondTryStream


def test_the_methods_it_calls_and_replaces_are_there() -> None:
    for name in (
        "state_wait_for_response_headers",
        "make_server_connection",
        "check_killed",
        "state_errored",
    ):
        assert name in vars(HttpStream) or name in vars(http1_layers.LimitedStream), name
    assert "self.server_state = self.state_consume_response_body" in inspect.getsource(
        HttpStream.state_wait_for_response_headers
    )
    assert "our_stream_id.get(event.stream_id" in inspect.getsource(
        _http2.Http2Client._handle_event
    )


def test_a_connection_is_free_again_when_its_answer_has_been_read() -> None:
    """The end of the message is told first, and what then marks the connection as free runs before
    the event that the hook is done.
    """
    source = inspect.getsource(_http1.Http1Connection.read_body)
    assert source.index("ReceiveEndOfMessage") < source.index("self.mark_done")


def test_the_event_is_known() -> None:
    assert all_hooks["unauthorized"] is second_try.UnauthorizedHook
