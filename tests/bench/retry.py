"""Cost of the loop that sends requests again: without any policy, with a chain, with a fallback."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from types import MappingProxyType

from mitmproxy.http import HTTPFlow, Response
from mitmproxy.test import tflow

from interceptor.addons.failures.capacity import CapacityAddon
from interceptor.addons.failures.cooldown import CooldownAddon
from interceptor.addons.failures.retry import RetryAddon
from interceptor.config.snapshot.schema import Snapshot
from interceptor.exchange.flow_state import METADATA_KEY, FlowState
from interceptor.pipeline.body import Body
from interceptor.pipeline.exchange import Exchange
from interceptor.pipeline.headers import HeaderMap
from interceptor.transform.capacity_policy import CapacityPolicy
from interceptor.transform.cooldowns import Cooldowns
from providers.provider_conf import ProviderConf
from tests.bench import traffic
from tests.bench.result import OPTIONS, RATIO, Figure
from tests.bench.rounds import (
    Load,
    cpu_per_1000_requests,
    first_byte_ms,
    measure_loads,
    proxy_cpu_per_1000_requests,
)
from tests.bench.servers import Target, ours_with, provider, warm_up

TITLE = "Requests that are sent again, against requests that are sent once"
LOOP_SHARE = 0.02
CHAIN_RATIO = 1.1
FALLBACK_MS = 5.0
_REFUSAL = (
    b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n"
    b'{"error":{"type":"busy"}}\n'
)
_PROVIDERS = """\
  chained:
    type: anthropic
    scheme: http
    host: 127.0.0.1
    port: {port}
    auth: {{type: command, command: "echo sk-ant-api03-bench-chained"}}
    retry: {{attempts: 3}}
    fallbacks: [bench]
  refused:
    type: anthropic
    scheme: http
    host: 127.0.0.1
    port: {refusing}
    auth: {{type: command, command: "echo sk-ant-api03-bench-refused"}}
    cooldown_seconds: 0
    fallbacks: [bench]
"""
PLAIN, CHAINED, REFUSED = "no policy", "a chain that is not needed", "503, then the fallback"


def figures() -> Iterator[Figure]:
    """A minute when quick, three otherwise."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = stack.enter_context(provider())
        refusing = stack.enter_context(_refusing())
        more = _PROVIDERS.format(port=upstream.port, refusing=refusing)
        product = stack.enter_context(ours_with(upstream, Path(name) / "ours", more))
        warm_up(product)
        yield from _measured(product)


def _measured(product: Target) -> Iterator[Figure]:
    requests, rounds = (200, 4) if OPTIONS.quick else (600, 9)
    loads = {
        PLAIN: Load(traffic.small, requests, 1),
        CHAINED: Load(_with_key("chained"), requests, 1),
        REFUSED: Load(_with_key("refused"), requests, 1),
    }
    series = measure_loads(product, loads, rounds)
    what = "CPU for 1,000 requests of 2 KB, one connection"
    for case in loads:
        yield Figure(what, case, series.value(case, cpu_per_1000_requests), "s")
    ratio = series.ratio(CHAINED, PLAIN, cpu_per_1000_requests)
    yield Figure(what, f"{CHAINED}, by {PLAIN}", ratio, RATIO, CHAIN_RATIO)
    what = "the loop's handlers for a request without a policy"
    loop_us = _loop_us()
    yield Figure(what, "CPU", loop_us, "µs")
    request_us = series.value(PLAIN, proxy_cpu_per_1000_requests) * 1000
    yield Figure(what, "by the proxy's CPU for it", loop_us / request_us, RATIO, LOOP_SHARE)
    what = "first byte"
    for case in loads:
        yield Figure(what, case, series.value(case, first_byte_ms), "ms")
    added_ms = series.added(REFUSED, PLAIN, first_byte_ms)
    yield Figure(what, f"{REFUSED}: added, the refusal included", added_ms, "ms", FALLBACK_MS)


def _with_key(name: str) -> Callable[[int], bytes]:
    return lambda port: traffic.with_key(traffic.small(port), name)


def _loop_us() -> float:
    """Return the time of the handlers that a flow without policy and chain passes."""
    flow = _flow()
    cooldown, retry = CooldownAddon(Cooldowns()), RetryAddon()
    capacity = CapacityAddon(CapacityPolicy())
    handlers = (
        capacity.request,
        retry.request,
        cooldown.responseheaders,
        retry.responseheaders,
    )
    count, times = 2000, []
    for _ in range(9):
        began = time.perf_counter()
        for _ in range(count):
            for handler in handlers:
                handler(flow)
        times.append((time.perf_counter() - began) / count)
    return median(times) * 1e6


def _flow() -> HTTPFlow:
    flow = tflow.tflow()
    conf = ProviderConf(name="bench", type="anthropic", host="127.0.0.1")
    snapshot = Snapshot(providers=MappingProxyType({"bench": conf}))
    state = FlowState(snapshot, flow.id)
    state.exchange = Exchange(
        flow_id=flow.id,
        method="POST",
        scheme="http",
        host="127.0.0.1",
        port=80,
        path="/v1/messages",
        headers=HeaderMap(()),
        body=Body(b"{}"),
        providers=snapshot.providers,
        provider=conf,
    )
    flow.metadata[METADATA_KEY] = state
    flow.response = Response.make(200)
    return flow


@contextmanager
def _refusing() -> Iterator[int]:
    """Run a provider that refuses every request at once, on a thread; gives its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(_refuse, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            lengths = [line.partition(b":")[2] for line in lines if b"content-length" in line]
            await reader.readexactly(int(lengths[0]))
            writer.write(_REFUSAL)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
