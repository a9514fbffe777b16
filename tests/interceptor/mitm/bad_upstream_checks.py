"""Checks of one response for an upstream that misbehaves, from the client's side and the record's."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator

from flows.record import FlowRecord
from interceptor.config.snapshot.schema import Snapshot
from tests.e2e import raw
from tests.e2e.process import wait_until
from tests.fakes.raw_upstream import GOOD, RawUpstream, Step
from tests.interceptor.mitm.misbehaving import CUTS, ECHO, EVENT, STREAM_HEAD, Case, chunk
from tests.interceptor.proxied import Running, provider, snapshot
from tests.patience import PATIENCE_S

PATHS = {
    "/v1/messages": "sk-ccproxy-up",
    "/v1/chat/completions": "sk-ccproxy-chat",
    "/v1/responses": "sk-ccproxy-responses",
    "/v1beta/models/g:streamGenerateContent?alt=sse": "sk-ccproxy-google",
}


def every_format(port: int) -> Snapshot:
    """A provider of each wire format at this port."""
    return snapshot(
        provider("up", port),
        provider("chat", port, type="openai", path="/v1/chat/completions"),
        provider("responses", port, type="openai_responses", path="/v1/responses"),
        provider("google", port, type="google", path="/v1beta/models/{model}:{action}"),
    )


def ask(proxy: Running, path: str = "/v1/messages", body: bytes = b'{"model":"m"}') -> raw.Answer:
    headers = [
        ("Host", "127.0.0.1"),
        ("x-api-key", PATHS[path]),
        ("Content-Length", str(len(body))),
    ]
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(raw.request("POST", path, headers, body))
        try:
            return raw.read_answer(client)
        except ConnectionResetError:
            return raw.Answer(0, [])


def check_next(proxy: Running, raw_upstream: RawUpstream) -> None:
    raw_upstream.steps, raw_upstream.reads_first = lambda: [GOOD], True
    answer = ask(proxy)
    assert (answer.status, answer.body) == (200, b"{}")


def check_case(
    case: Case, proxy: Running, raw_upstream: RawUpstream, *, then_good: bool = True
) -> None:
    """Send a request to an upstream of this kind, and a good one afterwards."""
    count = len(proxy.sink.records)
    raw_upstream.steps, raw_upstream.reads_first = case.steps, case.reads_first
    answer = ask(proxy)
    assert (answer.status, answer.complete) == (case.status, case.whole), answer.body[:500]
    if case.body is not None:
        assert answer.body == case.body
    if case.status in (502, 504):
        assert answer.header("content-type") == "application/json"
        assert answer.json["type"] == "error" and "up" in answer.json["error"]["message"]
        assert len(answer.body) <= 4096 and ECHO not in answer.body
    record = proxy.sink.wait(count + 1)
    assert record.state == ("error" if case.status in (502, 504) or not case.whole else "done")
    assert ECHO.decode() not in record.error
    if answer.status:
        check_delivered(record, answer)
    if then_good:
        check_next(proxy, raw_upstream)


def check_delivered(record: FlowRecord, answer: raw.Answer) -> None:
    """Compare what is recorded as delivered with what the client got."""
    [side] = [side for side in record.sides if side.side == "delivered"]
    assert (side.status_code, side.body) == (answer.status, answer.body)
    assert side.body_size_bytes == len(answer.body)
    assert list(side.headers) == answer.headers


def begun(proxy: Running, *sent: Step, then: Iterable[Step]) -> Callable[[], Iterator[Step]]:
    """Send a stream's head and first pieces; the rest once the proxy has passed some of them on.

    A reset that comes earlier overtakes the response, and the client rightly gets a 502.
    """

    def steps() -> Iterator[Step]:
        before = len(proxy.sink.deltas)
        yield from sent
        wait_until(lambda: len(proxy.sink.deltas) > before, "the stream has begun")
        yield from then

    return steps


def last_event(body: bytes) -> dict[str, object]:
    lines = body.rstrip(b"\n").split(b"\n\n")[-1].split(b"\n")
    [data] = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]
    event: dict[str, object] = json.loads(data)
    return event


def check_cut(cut: str, path: str, proxy: Running, raw_upstream: RawUpstream) -> None:
    """Read a stream that ends with an error event in the format of its path."""
    count = len(proxy.sink.records)
    raw_upstream.steps, raw_upstream.reads_first = (
        begun(proxy, STREAM_HEAD, chunk(EVENT) + chunk(EVENT), then=CUTS[cut]),
        True,
    )
    answer = ask(proxy, path)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body.startswith(EVENT + EVENT)
    event = last_event(answer.body)
    if path == "/v1/messages":
        assert b"\n\nevent: error\ndata: {" in answer.body and event["type"] == "error"
    elif path == "/v1/responses":
        assert event["type"] == "error" and "sequence_number" in event
    else:
        assert isinstance(event["error"], dict)
    assert ECHO not in answer.body
    record = proxy.sink.wait(count + 1)
    sides = {side.side: side for side in record.sides}
    assert record.state == "error" and record.error
    assert sides["delivered"].body == answer.body
    assert (sides["upstream"].body or b"").startswith(EVENT + EVENT)
    assert b"error" not in (sides["upstream"].body or b"")
    check_next(proxy, raw_upstream)
