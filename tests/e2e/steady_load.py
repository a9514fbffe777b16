"""Clients that ask all the time, and what each of them was completely answered."""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.process import Interceptor, wait_until
from tests.fakes.upstream import Script, Seen, sse
from tests.patience import PATIENCE_S

CLIENTS = 8
INTERRUPTED = "The proxy stopped while this flow was running."
PAUSE_S = CLIENTS / 25
"""Between a client's answer and its next request: about 25 requests a second together."""
QUIET_PAUSE_S = 4 * PAUSE_S
"""A further pause, while a test waits for something else than answers."""
LARGE_BYTES = 300_000
LARGE_EVERY = 6


def answer(seen: Seen) -> Script:
    """An answer that differs from all others, streamed if that was asked for."""
    asked = seen.json
    text = f"{asked['metadata']['user_id']} {secrets.token_hex(600)}"
    if not asked["stream"]:
        message = {"type": "message", "content": [{"type": "text", "text": text}]}
        return Script(pieces=(json.dumps(message).encode(),))
    return sse(*(_event(text[start : start + 100]) for start in range(0, len(text), 100)))


def _event(text: str) -> bytes:
    piece = {"type": "text_delta", "text": text}
    data = {"type": "content_block_delta", "index": 0, "delta": piece}
    return f"event: content_block_delta\ndata: {json.dumps(data)}\n\n".encode()


@dataclass(frozen=True)
class Exchange:
    """A request whose answer the client has completely."""

    marker: str
    flow_id: str
    sent: bytes
    got: bytes


@dataclass
class Load:
    """Requests from `with` to its end: at a steady pace where a test waits for answers.

    Else there are few: a process that starts on a busy machine has other things to do.
    """

    site: Interceptor
    agent: str = "steady-load"
    acknowledged: list[Exchange] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Why the others were not answered completely."""
    refused: list[str] = field(default_factory=list)
    """Answers other than 200."""

    def __post_init__(self) -> None:
        self._do_once: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._is_awaited = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._is_awaited.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def go_on(self, answers: int) -> None:
        """Return once so many more answers have come."""
        wanted = len(self.acknowledged) + answers
        with self._steady_pace():
            wait_until(lambda: len(self.acknowledged) >= wanted, "clients are answered")

    def at_next_answer(self, do: Callable[[], None]) -> None:
        """Have the client that is completely answered next do something at once."""
        self._do_once.put(do)
        with self._steady_pace():
            wait_until(self._do_once.empty, "a client is answered")

    @contextlib.contextmanager
    def _steady_pace(self) -> Iterator[None]:
        self._is_awaited.set()
        yield
        self._is_awaited.clear()

    def _client(self, number: int) -> None:
        with httpx.Client(base_url=self.site.url, trust_env=False, timeout=PATIENCE_S) as http:
            asked = number
            while not self._stop.is_set():
                asked += 1
                try:
                    self._ask(http, asked)
                except httpx.HTTPError as exc:
                    self.broken.append(repr(exc))
                self._stop.wait(PAUSE_S)
                self._is_awaited.wait(QUIET_PAUSE_S)

    def _ask(self, http: httpx.Client, asked: int) -> None:
        marker = secrets.token_hex(12)
        size_bytes = LARGE_BYTES if asked % LARGE_EVERY == 0 else 400
        body = {
            "model": "demo",
            "max_tokens": 9,
            "stream": asked % 2 == 0,
            "metadata": {"user_id": marker},
            "messages": [{"role": "user", "content": secrets.token_hex(size_bytes // 2)}],
        }
        sent = json.dumps(body).encode()
        headers = {
            "x-api-key": "sk-ccproxy-up",
            "content-type": "application/json",
            "user-agent": f"{self.agent}/{marker}",
        }
        reply = http.post("/v1/messages", content=sent, headers=headers)
        if reply.status_code != 200:
            self.refused.append(f"{reply.status_code} {reply.text}")
            return
        with contextlib.suppress(queue.Empty):
            self._do_once.get_nowait()()
        assert marker in "".join(_texts(reply.content))
        self.acknowledged.append(
            Exchange(marker, reply.headers["x-ccproxy-flow"], sent, reply.content)
        )


def _texts(body: bytes) -> Iterator[str]:
    for line in body.decode().splitlines():
        found = json.loads(line.removeprefix("data: ")) if "{" in line else {}
        yield found.get("delta", {}).get("text", "")
        for block in found.get("content", []):
            yield block["text"]


@dataclass(frozen=True)
class Losses:
    """Markers of acknowledged requests that the record does not hold as it should."""

    missing: list[str]
    failed: list[str]
    twice: list[str]
    bodiless: list[str]

    def __bool__(self) -> bool:
        return any((self.missing, self.failed, self.twice, self.bodiless))


def losses(site: Interceptor, load: Load) -> Losses:
    """Compare what clients got with what is recorded, once that is at rest."""
    ids = [exchange.flow_id for exchange in load.acknowledged]
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not _without_row(site, ids), "everything is recorded", PATIENCE_S / 3)
    with contextlib.suppress(AssertionError):
        wait_until(lambda: not _running(site, load), "nothing runs", PATIENCE_S / 3)
    record = Record(site, load.agent)
    wrong = Losses([], [], [], [])
    for exchange in load.acknowledged:
        flows = record.flows[exchange.marker]
        if len(flows) > 1:
            wrong.twice.append(exchange.marker)
        if not flows:
            wrong.missing.append(exchange.marker)
        elif flows[0]["state"] != "done":
            wrong.failed.append(exchange.marker)
        elif not record.holds(exchange):
            wrong.bodiless.append(exchange.marker)
    return wrong


def _without_row(site: Interceptor, ids: list[str]) -> set[str]:
    return set(ids) - {row["id"] for row in site.rows("select id from flows_flow")}


def _running(site: Interceptor, load: Load) -> list[Any]:
    return site.flows("state = 'live' and user_agent like ?", f"{load.agent}/%")


class Record:
    """The recorded flows of a load, by the markers of its requests."""

    def __init__(self, site: Interceptor, agent: str) -> None:
        self._site = site
        self.flows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for flow in site.flows("user_agent like ?", f"{agent}/%"):
            self.flows[flow["user_agent"].partition("/")[2]].append(flow)

    def holds(self, exchange: Exchange) -> bool:
        """Tell if both bodies are in the record, as the client sent and got them."""
        sides = self._site.sides(exchange.flow_id)
        found: tuple[bytes, bytes] = (sides["client"]["body"], sides["delivered"]["body"])
        return found == (exchange.sent, exchange.got)


def counted_wrongly(site: Interceptor) -> int:
    """Return by how much the sums by day exceed the flows that ended by themselves."""
    (sums,) = site.rows("select coalesce(sum(requests), 0) as flows from flows_usagedaily")
    ended = site.flows("state != 'live' and error != ? and sent_model != ''", INTERRUPTED)
    return int(sums["flows"]) - len(ended)
