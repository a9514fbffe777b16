"""The live view: what the bus tells, to whom, and that it stays small, quiet and without
secrets.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from autobahn.exception import Disconnected
from channels.layers import channel_layers, get_channel_layer
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from ccproxy_site.asgi import application
from flows.live import bus as live_bus
from flows.live.bus import FLUSH_SECONDS, LiveBus, LiveLimits, flow_group
from flows.live.consumers import ListConsumer
from flows.record import FlowDelta
from flows.redaction.redactor import Redactor
from flows.routing import websocket_urlpatterns
from providers.auth.registry import SecretRegistry
from tests.flows import records
from tests.patience import PATIENCE_S
from tests.visitors import viewer
from tests.websocket_page import WebsocketPage

FLOW = "0a1b2c3d-0006-4000-8000-000000000006"
SECRET = "sk-live-Zq81mmf02kslPwo28dkfmv7731"


@pytest.fixture(autouse=True)
def fresh_layer() -> Iterator[None]:
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


@pytest.fixture
def registry() -> SecretRegistry:
    return SecretRegistry()


@pytest.fixture
def bus(registry: SecretRegistry) -> Iterator[LiveBus]:
    made = LiveBus(Redactor(registry))
    yield made
    made.detach()


def event(text: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()


class Pieces:
    """Cuts a stream into deltas with running offsets."""

    def __init__(self, bus: LiveBus, flow_id: str = FLOW) -> None:
        self.bus, self.flow_id, self.offset = bus, flow_id, 0

    def send(self, data: bytes) -> None:
        self.bus.delta(FlowDelta(self.flow_id, self.offset, data, 1.0))
        self.offset += len(data)


async def listen(group: str) -> str:
    layer: Any = get_channel_layer()
    channel: str = await layer.new_channel()
    await layer.group_add(group, channel)
    return channel


async def next_message(channel: str) -> dict[str, Any]:
    layer: Any = get_channel_layer()
    message: dict[str, Any] = await asyncio.wait_for(layer.receive(channel), PATIENCE_S)
    return message


# --- the bus


async def test_pieces_are_put_together_and_follow_each_other(bus: LiveBus):
    channel = await listen(flow_group(FLOW))
    pieces = Pieces(bus)
    pieces.send(event("one "))
    pieces.send(event("two "))
    first = await next_message(channel)
    pieces.send(event("three"))
    second = await next_message(channel)
    assert (first["offset"], first["next"]) == (0, second["offset"])
    assert first["data"] == event("one ") + event("two ")
    assert second["data"] == event("three")


async def test_chunks_are_sent_together(bus: LiveBus, monkeypatch: pytest.MonkeyPatch):
    channel = await listen(flow_group(FLOW))
    waits: list[float] = []
    call_later = asyncio.get_running_loop().call_later

    def spy(delay: float, callback: Any, *args: Any) -> asyncio.TimerHandle:
        waits.append(delay)
        return call_later(delay, callback, *args)

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", spy)
    pieces = Pieces(bus)
    for _ in range(1000):
        pieces.send(event("x"))
    await next_message(channel)
    assert waits.count(FLUSH_SECONDS) == 1


async def test_nothing_is_worked_on_while_nobody_watches(
    bus: LiveBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Redactor, "body", lambda *_: pytest.fail("redacted for nobody"))
    monkeypatch.setattr(Redactor, "url", lambda *_: pytest.fail("redacted for nobody"))
    bus.started(records.live(FLOW))
    Pieces(bus).send(event("x"))
    await bus.send_pending()


async def test_no_timer_runs_while_nobody_watches(bus: LiveBus):
    bus.started(records.live(FLOW))
    assert bus._timer is None
    channel = await listen("flows")
    bus.progress(records.live(FLOW))
    assert (await next_message(channel))["phase"] == "progress"


async def test_a_response_is_forgotten_at_its_end_though_nobody_watches(bus: LiveBus):
    Pieces(bus).send(event("x"))
    assert bus.holds(FLOW)
    bus.finished(records.flow(FLOW))
    assert not bus.holds(FLOW)


async def test_rows_tell_the_list_and_the_flow(bus: LiveBus):
    rows, flow = await listen(live_bus.LIST_GROUP), await listen(flow_group(FLOW))
    bus.started(records.live(FLOW))
    message = await next_message(rows)
    assert (message["phase"], message["row"]["id"], message["row"]["state"]) == (
        "started",
        FLOW,
        "live",
    )
    bus.finished(records.flow(FLOW))
    assert (await next_message(rows))["phase"] == "finished"
    states = [(await next_message(flow))["row"]["state"] for _ in range(2)]
    assert states == ["live", "done"]


async def test_secrets_are_cut_out_of_rows_and_text(bus: LiveBus, registry: SecretRegistry):
    registry.add(SECRET)
    rows, flow = await listen(live_bus.LIST_GROUP), await listen(flow_group(FLOW))
    pieces = Pieces(bus)
    pieces.send(b"data: the key is " + SECRET.encode() + b"\n\n")
    bus.started(records.live(FLOW, path=f"/v1?key={SECRET}", error=f"bad {SECRET}"))
    seen = repr(await next_message(flow)) + repr(await next_message(rows))
    assert SECRET[4:20] not in seen
    assert "redacted" in seen


async def test_a_secret_cut_in_two_by_a_flush_is_found(bus: LiveBus, registry: SecretRegistry):
    registry.add(SECRET)
    channel = await listen(flow_group(FLOW))
    pieces = Pieces(bus)
    pieces.send(b"data: " + SECRET[:-10].encode())
    first = await next_message(channel)
    pieces.send(SECRET[-10:].encode() + b" end\n\n")
    second = await next_message(channel)
    assert second["data"] == b" end\n\n"
    assert SECRET[4:18] not in first["data"].decode()


async def test_what_came_so_far_is_kept_and_dropped_at_the_end(bus: LiveBus):
    pieces = Pieces(bus)
    pieces.send(event("one "))
    pieces.send(event("two"))
    assert bus.segments(FLOW) == [(pieces.offset, event("one ") + event("two"))]
    bus.finished(records.flow(FLOW))
    await bus.send_pending()
    assert bus.segments(FLOW) is None


async def test_compressed_streams_are_unfolded(bus: LiveBus):
    data = gzip.compress(event("squeezed"))
    pieces = Pieces(bus)
    pieces.send(data[:9])
    assert bus.segments(FLOW) == [(9, b"")]
    pieces.send(data[9:])
    kept = bus.segments(FLOW)
    assert kept is not None
    assert b"".join(part for _, part in kept) == event("squeezed")
    assert kept[-1][0] == len(data)


async def test_a_long_stream_is_forgotten_but_still_passed_on(bus: LiveBus):
    channel = await listen(flow_group(FLOW))
    pieces = Pieces(bus)
    pieces.send(b"x" * (LiveLimits().stream_bytes + 1))
    assert bus.segments(FLOW) is None
    pieces.send(b"more")
    message = await next_message(channel)
    assert (message["offset"], message["data"]) == (pieces.offset - 4, b"more")


def kept(bus: LiveBus) -> list[int]:
    """Sizes of the streams that can still be read from their beginning."""
    found = [bus.segments(f"flow{number}") for number in range(200)]
    return [sum(len(data) for _, data in segments) for segments in found if segments is not None]


@pytest.mark.parametrize("count", [8, 60, 200])
async def test_memory_is_bounded_over_all_streams(count: int, registry: SecretRegistry):
    bus = LiveBus(Redactor(registry), LiveLimits(total_bytes=100_000, streams=50))
    for number in range(count):
        Pieces(bus, f"flow{number}").send(b"x" * 10_000)
    assert 4 <= len(kept(bus)) <= 10
    assert sum(kept(bus)) <= 100_000
    await bus.close()


async def test_the_number_of_streams_is_bounded(registry: SecretRegistry):
    bus = LiveBus(Redactor(registry), LiveLimits(streams=50))
    for number in range(200):
        Pieces(bus, f"flow{number}").send(b"x")
    assert len(kept(bus)) == 50
    await bus.close()


async def test_a_stream_joined_in_the_middle_is_not_taken_for_the_whole(bus: LiveBus):
    bus.delta(FlowDelta(FLOW, 500, b"late", 1.0))
    assert bus.segments(FLOW) is None


async def test_trouble_stays_inside(bus: LiveBus, monkeypatch: pytest.MonkeyPatch):
    class Broken:
        async def group_send(self, group: str, message: dict[str, Any]) -> None:
            raise OSError("no broker")

    monkeypatch.setattr(live_bus, "get_channel_layer", Broken)
    bus.delta(None)  # type: ignore[arg-type]
    bus.started(records.live(FLOW))
    Pieces(bus).send(event("x"))
    await bus.send_pending()
    assert bus.segments(FLOW)  # what passed is kept although nobody could be told
    await bus.close()


def test_without_an_event_loop_nothing_is_raised(bus: LiveBus):
    bus.started(records.live(FLOW))


# --- the websockets


def communicator(address: str, user: Any, **headers: str) -> WebsocketPage:
    from channels.routing import URLRouter

    lines = {"host": "127.0.0.1:8083", "origin": "http://127.0.0.1:8083", **headers}
    made = WebsocketPage(
        URLRouter(websocket_urlpatterns),
        address,
        [(k.encode(), v.encode()) for k, v in lines.items() if v],
    )
    made.scope["user"] = user
    return made


STAFF = User(username="ada", is_staff=True, is_superuser=True)

# A consumer closes old database connections; one may be left of an earlier test.


@pytest.mark.django_db
async def test_a_page_sees_rows_move(bus: LiveBus):
    page = communicator("/ws/flows/", STAFF)
    assert (await page.connect())[0]
    bus.started(records.live(FLOW))
    assert await page.receive_json_from() == {
        "type": "row",
        "phase": "started",
        "id": FLOW,
        "state": "live",
    }
    await page.disconnect()


@pytest.mark.django_db
async def test_a_page_inside_a_segment_gets_everything_anew(bus: LiveBus):
    pieces = Pieces(bus)
    pieces.send(event("seen "))
    seen = pieces.offset
    pieces.send(event("missed "))  # both become plain at once, as one segment
    page = communicator(f"/ws/flows/{FLOW}/?from={seen}", STAFF)
    assert (await page.connect())[0]
    assert await page.receive_json_from() == {
        "type": "text",
        "offset": 0,
        "next": pieces.offset,
        "pieces": [["text", "seen missed "]],
        "anew": True,
    }
    await page.disconnect()


@pytest.mark.django_db
async def test_a_page_reads_on_from_where_it_is(bus: LiveBus):
    pieces = Pieces(bus)
    pieces.send(event("seen "))
    seen = pieces.offset
    assert bus.segments(FLOW)  # the page was loaded here
    pieces.send(event("missed "))
    page = communicator(f"/ws/flows/{FLOW}/?from={seen}", STAFF)
    assert (await page.connect())[0]
    caught_up = await page.receive_json_from()
    assert caught_up == {
        "type": "text",
        "offset": seen,
        "next": pieces.offset,
        "pieces": [["text", "missed "]],
    }
    pieces.send(event("new")[:20])
    await page.receive_json_from()
    pieces.send(event("new")[20:])
    message = await page.receive_json_from()
    assert message["pieces"] == [["text", "new"]]
    bus.finished(records.flow(FLOW))
    assert (await page.receive_json_from())["state"] == "done"
    await page.disconnect()


async def read_text(page: WebsocketPage, wanted: str) -> str:
    """Return what a page is told, until it has as many characters as wanted."""
    heard = ""
    while len(heard) < len(wanted):
        heard += "".join(text for _, text in (await page.receive_json_from())["pieces"])
    return heard


@pytest.mark.django_db
async def test_two_pages_read_the_same_although_one_came_later(bus: LiveBus):
    pieces = Pieces(bus)
    pieces.send(event("a"))
    first = communicator(f"/ws/flows/{FLOW}/?from=0", STAFF)
    await first.connect()
    assert (await first.receive_json_from())["pieces"] == [["text", "a"]]
    pieces.send(event("b"))
    second = communicator(f"/ws/flows/{FLOW}/?from=0", STAFF)
    await second.connect()
    assert (await second.receive_json_from())["pieces"] == [["text", "ab"]]
    pieces.send(event("c"))
    # Both pieces come together, unless the second page took its time.
    assert await read_text(first, "bc") == "bc"
    assert (await second.receive_json_from())["pieces"] == [["text", "c"]]
    await first.disconnect()
    await second.disconnect()


@pytest.mark.django_db
async def test_a_page_is_sent_to_the_record_when_nothing_is_kept(bus: LiveBus):
    page = communicator(f"/ws/flows/{FLOW}/?from=7", STAFF)
    assert (await page.connect())[0]
    assert await page.receive_json_from() == {"type": "gap", "position": 7}
    await page.disconnect()


@pytest.mark.django_db
async def test_control_characters_are_spelled_out_for_the_page(bus: LiveBus):
    Pieces(bus).send(event("\u202eevil\x1b\udc80"))
    page = communicator(f"/ws/flows/{FLOW}/?from=0", STAFF)
    await page.connect()
    assert (await page.receive_json_from())["pieces"] == [["text", "\\u202eevil\\x1b\\x80"]]
    await page.disconnect()


@pytest.mark.parametrize("address", ["/ws/flows/", f"/ws/flows/{FLOW}/"])
@pytest.mark.parametrize(
    ("user", "headers"),
    [
        (AnonymousUser(), {}),
        (None, {}),
        (User(username="guest"), {}),
        (User(username="gone", is_staff=True, is_active=False), {}),
        (STAFF, {"origin": "http://127.0.0.1:3000"}),
        (STAFF, {"origin": "http://evil.example"}),
        (STAFF, {"origin": ""}),
        (STAFF, {"origin": "null"}),
    ],
)
async def test_everybody_else_is_refused(address: str, user: Any, headers: dict[str, str]):
    page = communicator(address, user, **headers)
    assert (await page.connect())[0] is False


@pytest.mark.parametrize("address", ["/", "/ws/", "/ws/flows", "/ws/other/"])
async def test_unknown_addresses_are_refused(address: str):
    page = communicator(address, STAFF)
    assert (await page.connect())[0] is False


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("host", "origin", "welcome"),
    [
        ("127.0.0.1:8083", "http://127.0.0.1:8083", True),
        ("evil.example:8083", "http://evil.example:8083", False),  # a name bound to our address
        ("127.0.0.1:8083", "http://evil.example", False),
    ],
)
async def test_the_whole_application_checks_session_and_origin(
    client: Client, host: str, origin: str, welcome: bool
):
    user = await sync_to_async(viewer)()
    await sync_to_async(client.force_login)(user)
    cookie = f"ccproxy_session={client.cookies['ccproxy_session'].value}"
    lines = {"host": host, "origin": origin, "cookie": cookie}
    page = WebsocketPage(
        application, "/ws/flows/", [(k.encode(), v.encode()) for k, v in lines.items()]
    )
    assert (await page.connect())[0] is welcome
    await page.disconnect()
    lines.pop("cookie")
    page = WebsocketPage(
        application, "/ws/flows/", [(k.encode(), v.encode()) for k, v in lines.items()]
    )
    assert (await page.connect())[0] is False


async def test_a_page_that_has_just_left_is_no_error():
    sent: list[Any] = []

    async def gone(message: Any) -> None:
        sent.append(message)
        raise Disconnected("Attempt to send on a closed protocol")

    consumer = ListConsumer()
    consumer.base_send = gone
    await consumer.flows_row({"phase": "ended", "row": {"id": FLOW, "state": "done"}})
    assert len(sent) == 1
