"""Upstreams that fall silent are given up, and those that only pause are not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.fakes.raw_upstream import GOOD, RawUpstream
from tests.interceptor.mitm.bad_upstream_checks import (
    PATHS,
    ask,
    check_case,
    check_cut,
    every_format,
)
from tests.interceptor.mitm.misbehaving import CASES, CUTS, EVENT, STREAM_HEAD, Case, chunk
from tests.interceptor.proxied import Running, provider, running_proxy, snapshot

IDLE_TIMEOUT_S = 1.5
LONGER_IDLE_TIMEOUT_S = 4.0
PAUSE_S = 1.0


@pytest.fixture(scope="module")
def proxy(raw_upstream: RawUpstream) -> Iterator[Running]:
    """A proxy that soon gives up."""
    config = every_format(raw_upstream.port)
    with running_proxy(config, idle_timeout_s=IDLE_TIMEOUT_S) as running:
        yield running


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.stalls], ids=lambda case: case.name
)
def test_its_client_gets_an_answer(
    case: Case, proxy: Running, raw_upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    check_case(case, proxy, raw_upstream)
    assert "crashed" not in caplog.text and "Traceback" not in caplog.text


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("cut", [cut for cut in CUTS if "hang" in CUTS[cut]])
def test_a_stream_that_stalls_ends_with_an_error_event(
    cut: str, path: str, proxy: Running, raw_upstream: RawUpstream
) -> None:
    check_cut(cut, path, proxy, raw_upstream)


# mitmproxy serves one proxy a process: from here on the tests start their own, and the one above is
# no longer used.


def test_pauses_are_no_stall(raw_upstream: RawUpstream) -> None:
    """A response lasts longer than the idle timeout; each pause is a quarter of it."""
    heads = [GOOD[start : start + 40] for start in range(0, len(GOOD), 40)]
    slow_head: list[bytes | float] = [step for piece in heads for step in (piece, PAUSE_S / 4)]
    events: list[bytes | float] = [step for _ in range(5) for step in (chunk(EVENT), PAUSE_S)]
    config = snapshot(provider("up", raw_upstream.port))
    with running_proxy(config, idle_timeout_s=LONGER_IDLE_TIMEOUT_S) as proxy:
        raw_upstream.steps, raw_upstream.reads_first = lambda: slow_head, True
        assert ask(proxy).status == 200
        raw_upstream.steps = lambda: [STREAM_HEAD, *events, b"0\r\n\r\n"]
        answer = ask(proxy)
    assert answer.complete and answer.body == EVENT * 5


def test_an_address_that_swallows_packets_is_given_up() -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:  # the backlog is full: further handshakes get no answer
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    try:
        config = snapshot(provider("up", full.getsockname()[1]))
        with running_proxy(config, idle_timeout_s=IDLE_TIMEOUT_S) as proxy:
            answer = ask(proxy)
            assert (
                answer.status == 504 and "could not be reached" in answer.json["error"]["message"]
            )
    finally:
        for held in (full, *fillers):
            held.close()
