"""How late streamed events arrive while somebody lists, exports or clears the record of the same
process.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlencode

from flows.models import Flow
from providers.models import Provider
from tests.bench import traffic
from tests.bench.load import closed_loop, connected
from tests.bench.result import Figure
from tests.bench.servers import provider
from tests.e2e.process import Interceptor, running

STREAMS = 8
EVENTS, EVERY_MS = 100, 20.0
EXPORTED = 1000
LATER_MS = 50.0
_LISTS = (
    "/flows/",
    "/flows/?status=5xx",
    "/flows/?q=import9",
    "/flows/?provider=openai&model=claude-haiku-4-5",
)


def pace(cookie: str, clear: Callable[[], Iterator[Figure]]) -> Iterator[Figure]:
    """Streams through an interceptor on this process's record, alone and beside work; `clear` is
    the last of it.

    Args:
        cookie: `name=value` of a session of the console.
        clear: deletes everything and measures it.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        _make_provider(upstream.port)
        shared = {
            key: os.environ[key]
            for key in ("CCPROXY_CONFIG_DIR", "DATABASE_URL")
            if key in os.environ
        }
        proxy = stack.enter_context(running(Interceptor(Path(name), "", **shared)))
        _late_ms(proxy.port, lambda: None)
        alone_ms = _late_ms(proxy.port, lambda: None)
        yield Figure("streams, p99 of an event's delay", "alone", alone_ms, "ms")
        cleared: list[Figure] = []
        works: dict[str, Callable[[], None]] = {
            "while pages are listed": lambda: _list(proxy.console_url, cookie),
            f"while {EXPORTED} flows are exported": lambda: _export(proxy.console_url, cookie),
            "while everything is cleared": lambda: cleared.extend(clear()),
        }
        for case, work in works.items():
            late_ms = _late_ms(proxy.port, work)
            yield Figure(
                "streams, p99 of an event's delay, added", case, late_ms - alone_ms, "ms", LATER_MS
            )
        yield from cleared


def _make_provider(port: int) -> None:
    Provider.objects.update_or_create(
        name="bench",
        defaults={
            "type": "anthropic",
            "scheme": "http",
            "host": "127.0.0.1",
            "port": port,
            "path": "/v1/messages",
            "auth_type": "key",
            "secret": "sk-ant-api03-bench-" + "7f" * 40,
        },
    )


def _late_ms(port: int, work: Callable[[], None]) -> float:
    """The 99th percentile over the streams that run until `work` is done, in milliseconds."""
    thread = threading.Thread(target=work)
    delays: list[float] = []
    thread.start()
    while True:
        delays += asyncio.run(_streams(port))
        if not thread.is_alive():
            return quantiles(delays, n=100)[98] * 1000


async def _streams(port: int) -> list[float]:
    async with connected(port, STREAMS) as connections:
        make = traffic.times(STREAMS, lambda: traffic.streamed(port, EVENTS, EVERY_MS))
        return [
            delay
            for answer in await closed_loop(connections, make)
            for delay in answer.event_delays
        ]


def _list(console: str, cookie: str) -> None:
    for _ in range(5):
        for path in _LISTS:
            assert _size_bytes(console + path, cookie) > 1000


def _export(console: str, cookie: str) -> None:
    oldest = Flow.objects.order_by("-started_at").values_list("started_at", flat=True)[EXPORTED - 1]
    query = urlencode({"after": oldest.isoformat()})
    assert (
        _size_bytes(f"{console}/api/flows/?{query}", cookie, "Accept: application/har+json")
        > 1_000_000
    )


def _size_bytes(url: str, cookie: str, *headers: str) -> int:
    """The size of an answer, read by another process: this one reads the streams, and must not be
    busy.
    """
    asked = [word for header in headers for word in ("-H", header)]
    command = [
        "curl",
        "-sf",
        "-b",
        cookie,
        *asked,
        "-o",
        "/dev/null",
        "-w",
        "%{size_download}",
        url,
    ]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
