"""Translation: CPU for each streamed event, whole requests against the standard JSON codec, time to
the first event.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from providers.base.names import (
    ANTHROPIC_MESSAGES,
    FORMAT_OF_TYPE,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    WIRE_FORMATS,
    WireFormatName,
)
from providers.wire.core.jsonio import dumps, loads
from providers.wire.translate import translate_request
from tests.bench.result import Figure
from tests.e2e.process import Interceptor, running
from tests.fakes.upstream import Script, Seen, Upstream
from tests.providers.wire.cases import PAIRS
from tests.providers.wire.speed import agent_request, event_us

TITLE = "Translation between wire formats"
MAX_EVENT_US = 40.0
MAX_REQUEST_RATIO = 3.0
MAX_FIRST_EVENT_MS = 1.0
REPEATS = 9
FIRST_EVENTS = 61
FIRST_PACKET_EVENTS = 8
"""Enough of the scripted streams for a first word."""


def figures() -> Iterator[Figure]:
    """All of it, about a minute."""
    yield from _events()
    for what, body in (("long texts", agent_request()), ("many short turns", short_turns())):
        yield from _requests(what, body)
    yield from _first_events()


def _case(src: WireFormatName, dst: WireFormatName) -> str:
    return f"{src} → {dst}"


def _events() -> Iterator[Figure]:
    what = "CPU for a streamed text delta, decoded and encoded"
    for src, dst in PAIRS:
        value = median(event_us(src, dst) for _ in range(REPEATS // 2))
        yield Figure(what, _case(src, dst), value, "µs", MAX_EVENT_US)


def short_turns() -> dict[str, Any]:
    """An Anthropic request of 1 MB in 4 800 short messages, the worst there is: all structure,
    little text.
    """
    messages: list[dict[str, Any]] = []
    for number in range(1600):
        call = {
            "type": "tool_use",
            "id": f"toolu_{number}",
            "name": "read",
            "input": {"file": "a.py", "line": number},
        }
        result = {
            "type": "tool_result",
            "tool_use_id": f"toolu_{number}",
            "content": "a line of the file\n" * 8,
        }
        messages.append({"role": "user", "content": f"question {number}, ein paar Wörter lang"})
        messages.append(
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "a short answer " * 8}, call],
            }
        )
        messages.append({"role": "user", "content": [result]})
    return {"model": "m", "max_tokens": 10, "messages": messages}


def _requests(kind: str, original: dict[str, Any]) -> Iterator[Figure]:
    for src in WIRE_FORMATS:
        body = (
            original
            if src == ANTHROPIC_MESSAGES
            else translate_request(original, ANTHROPIC_MESSAGES, src)[0]
        )
        raw = dumps(body)
        what = f"request of 1 MB, {kind}: parse, translate and print, by json.loads + json.dumps"
        for dst in WIRE_FORMATS:
            if dst != src:
                ratio = _ratio(partial(_translate, raw, src, dst), partial(_plain, raw))
                yield Figure(
                    what,
                    f"{_case(src, dst)}, {len(raw) / 1e6:.1f} MB",
                    ratio,
                    "×",
                    MAX_REQUEST_RATIO,
                )


def _translate(raw: bytes, src: WireFormatName, dst: WireFormatName) -> None:
    dumps(translate_request(loads(raw), src, dst)[0])


def _plain(raw: bytes) -> None:
    json.dumps(json.loads(raw))


def _ratio(work: Callable[[], None], base: Callable[[], None]) -> float:
    """Median of the ratios of neighbouring runs, so that a machine that slows down slows both."""
    return median(_cpu_s(work) / _cpu_s(base) for _ in range(REPEATS))


def _cpu_s(call: Callable[[], None]) -> float:
    gc.collect()
    begun = time.process_time()
    call()
    return time.process_time() - begun


PATHS = {
    "anthropic": "/v1/messages",
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "google": "/v1beta/models/{model}:{action}",
}
_HELLO = [{"role": "user", "content": "Hello"}]
REQUESTS: dict[WireFormatName, tuple[str, dict[str, Any]]] = {
    ANTHROPIC_MESSAGES: (
        "/v1/messages",
        {"model": "demo", "stream": True, "max_tokens": 9, "messages": _HELLO},
    ),
    OPENAI_CHAT: ("/v1/chat/completions", {"model": "demo", "stream": True, "messages": _HELLO}),
    OPENAI_RESPONSES: ("/v1/responses", {"model": "demo", "stream": True, "input": "Hello"}),
    GOOGLE_GENERATE: (
        "/v1beta/models/demo:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
    ),
}


class _InPackets(Upstream):
    """The scripted provider; the first packet of a stream holds a first word, whatever stands
    before it.
    """

    def script_for(self, seen: Seen) -> Script:
        """The scripted answer in two packets."""
        script = self.scripted_answer(seen)
        head, rest = script.pieces[:FIRST_PACKET_EVENTS], script.pieces[FIRST_PACKET_EVENTS:]
        return replace(script, pieces=(b"".join(head), b"".join(rest)), pause_s=0.002)


def _first_events() -> Iterator[Figure]:
    """Through the running interceptor: how much later than in the provider's own format, request
    after request.
    """
    with _InPackets() as upstream, tempfile.TemporaryDirectory() as folder:
        config = "providers:\n" + "".join(_provider(kind, upstream.port) for kind in PATHS)
        with (
            running(Interceptor(Path(folder), config)) as proxy,
            httpx.Client(trust_env=False) as http,
        ):
            for kind in PATHS:
                yield from _first_events_of(partial(_first_byte_ms, http, proxy.url, kind), kind)


def _first_events_of(ask: Callable[[WireFormatName], float], kind: str) -> Iterator[Figure]:
    native = FORMAT_OF_TYPE[kind]
    assert native
    for client in WIRE_FORMATS:
        ask(client)  # the first one pays for what is loaded late
    rounds = [{client: ask(client) for client in WIRE_FORMATS} for _ in range(FIRST_EVENTS)]
    own_ms = median(times[native] for times in rounds)
    yield Figure("time to the first byte through the proxy, same format", native, own_ms, "ms")
    for client in WIRE_FORMATS:
        if client != native:
            added_ms = median(times[client] - times[native] for times in rounds)
            what = "time to the first event added by translation"
            yield Figure(what, _case(native, client), added_ms, "ms", MAX_FIRST_EVENT_MS)


def _first_byte_ms(http: httpx.Client, url: str, kind: str, client: WireFormatName) -> float:
    path, body = REQUESTS[client]
    headers = {"x-api-key": f"sk-ccproxy-{kind}"}
    begun = time.perf_counter()
    with http.stream("POST", f"{url}{path}", json=body, headers=headers) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        taken = time.perf_counter() - begun
        assert answer.status_code == 200
        for _ in pieces:
            pass
    return taken * 1e3


def _provider(kind: str, port: int) -> str:
    where = f'scheme: http, host: 127.0.0.1, port: {port}, path: "{PATHS[kind]}"'
    return f"  {kind}: {{type: {kind}, {where}, auth: {{type: command, command: 'echo key'}}}}\n"
