"""The sink loses bodies before records, says what it lost, and sends deltas of watched flows alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.handover.record_codec import BODIES_DROPPED, FINISHED, PROGRESS, STARTED, decode
from flows.handover.ring import Ring, RingReader, RingWriter
from flows.handover.sink import RingSink
from flows.record import FlowDelta, FlowRecord
from tests.flows.records import flow, live, side

CAPACITY = 64 * 1024


class Proxy:
    """A sink over a ring, with responses that run."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.ring = Ring.create(capacity)
        self.reader = RingReader(self.ring)
        self.bodies: dict[str, bytes] = {}
        self.asked = 0
        self.sink = RingSink(RingWriter(self.ring, lambda: None), self._body_so_far)

    def chunk(self, flow_id: str, data: bytes) -> None:
        """Forward a chunk of a flow's response to its client."""
        before = self.bodies.get(flow_id, b"")
        self.bodies[flow_id] = before + data
        self.sink.delta(FlowDelta(flow_id, len(before), data, 1.0))

    def received(self) -> list[tuple[int, FlowRecord | FlowDelta]]:
        """Read and release what was put."""
        found: list[tuple[int, FlowRecord | FlowDelta]] = []
        for frame in self.reader.frames(1 << 30):
            found.append((frame.kind, decode(frame.kind, frame.payload)))
            self.reader.release(frame.end)
        return found

    def deltas(self) -> list[tuple[str, int, bytes]]:
        """Read the deltas that were put."""
        values = [value for _, value in self.received()]
        return [(d.flow_id, d.offset, d.data) for d in values if isinstance(d, FlowDelta)]

    def _body_so_far(self, flow_id: str) -> bytes:
        self.asked += 1
        return self.bodies.get(flow_id, b"")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.ring.close()


def test_it_works(proxy: Proxy) -> None:
    proxy.sink.started(live())
    proxy.sink.progress(live())
    proxy.sink.finished(flow())
    assert proxy.received() == [(STARTED, live()), (PROGRESS, live()), (FINISHED, flow())]
    assert (proxy.sink.bodies_dropped, proxy.sink.records_dropped) == (0, 0)


def test_chunks_that_no_page_watches_are_not_put(proxy: Proxy) -> None:
    proxy.chunk("a", b"unwatched")
    assert proxy.received() == []
    assert proxy.asked == 0


def test_a_watched_flow_is_sent_from_its_beginning(proxy: Proxy) -> None:
    proxy.chunk("a", b"before, ")
    proxy.sink.watch(frozenset({"a", "b"}))
    proxy.chunk("a", b"after, ")
    proxy.sink.watch(frozenset({"a"}))
    proxy.chunk("b", b"not any more")
    proxy.chunk("a", b"end")
    assert proxy.deltas() == [("a", 0, b"before, "), ("a", 8, b"after, "), ("a", 15, b"end")]


def test_a_flow_that_is_watched_again_is_sent_from_its_beginning(proxy: Proxy) -> None:
    proxy.sink.watch(frozenset({"a"}))
    proxy.chunk("a", b"one")
    proxy.sink.watch(frozenset())
    proxy.chunk("a", b"two")
    proxy.sink.watch(frozenset({"a"}))
    assert proxy.deltas() == [("a", 0, b"one"), ("a", 0, b"onetwo")]


def test_a_chunk_that_the_beginning_had_is_not_sent_twice(proxy: Proxy) -> None:
    # The proxy keeps a chunk before it gives the sink the delta.
    proxy.bodies["a"] = b"onetwo"
    proxy.sink.watch(frozenset({"a"}))
    proxy.sink.delta(FlowDelta("a", 3, b"two", 1.0))
    proxy.chunk("a", b"three")
    assert proxy.deltas() == [("a", 0, b"onetwo"), ("a", 6, b"three")]


def test_what_the_proxy_did_not_keep_stays_a_gap(proxy: Proxy) -> None:
    proxy.sink.watch(frozenset({"a"}))
    proxy.sink.delta(FlowDelta("a", 100, b"late", 1.0))
    proxy.sink.delta(FlowDelta("a", 104, b"next", 1.0))
    assert proxy.deltas() == [("a", 100, b"late"), ("a", 104, b"next")]


def test_chunks_without_room_come_with_a_later_one(proxy: Proxy) -> None:
    proxy.sink.watch(frozenset({"a"}))
    proxy.chunk("a", b"one")
    proxy.sink.finished(flow(sides=(side("client", bytes(50_000)),)))
    proxy.chunk("a", b"two")
    assert proxy.deltas() == [("a", 0, b"one")]
    proxy.chunk("a", b"three")
    assert proxy.deltas() == [("a", 3, b"twothree")]


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("chunk"), st.sampled_from("ab"), st.binary(min_size=1, max_size=3000)
            ),
            st.tuples(st.just("watch"), st.sampled_from(["", "a", "b", "ab"]), st.just(b"")),
            st.tuples(st.just("read"), st.just(""), st.just(b"")),
        ),
        max_size=40,
    )
)
@settings(deadline=None)
def test_a_page_that_watches_sees_a_beginning_without_gaps(
    steps: list[tuple[str, str, bytes]],
) -> None:
    proxy = Proxy(8192)
    seen: dict[str, bytes] = {}

    def read() -> None:
        for flow_id, offset, data in proxy.deltas():
            assert offset in (0, len(seen.get(flow_id, b"")))
            seen[flow_id] = seen.get(flow_id, b"")[:offset] + data

    for step, name, data in steps:
        if step == "chunk":
            proxy.chunk(name, data)
        elif step == "watch":
            proxy.sink.watch(frozenset(name))
        else:
            read()
    read()
    for flow_id, body in seen.items():
        assert proxy.bodies[flow_id].startswith(body)
    proxy.ring.close()


def test_bodies_are_left_out_first_then_records(proxy: Proxy) -> None:
    large = (side("client", bytes(40_000)),)
    proxy.sink.finished(flow("a", sides=large))
    proxy.sink.finished(flow("b", sides=large))
    assert (proxy.sink.bodies_dropped, proxy.sink.records_dropped) == (1, 0)
    for number in range(200):
        proxy.sink.finished(flow(f"c{number}", sides=large))
    dropped = proxy.sink.records_dropped
    assert 0 < dropped < 190
    first, second, *others = proxy.received()
    assert first == (FINISHED, flow("a", sides=large))
    assert second == (
        FINISHED | BODIES_DROPPED,
        flow("b", sides=(side("client", None, body_size_bytes=40_000),)),
    )
    assert len(others) == 200 - dropped
    proxy.sink.finished(flow("d", sides=large))
    assert proxy.received() == [(FINISHED, flow("d", sides=large))]


def test_running_flows_leave_room_for_those_that_end(proxy: Proxy) -> None:
    for number in range(200):
        proxy.sink.progress(live(f"a{number}"))
    assert proxy.sink.records_dropped == 0
    proxy.sink.finished(flow("b"))
    kinds = [kind for kind, _ in proxy.received()]
    assert list(dict.fromkeys(kinds)) == [PROGRESS, PROGRESS | BODIES_DROPPED, FINISHED]


def test_nothing_reaches_the_proxy_when_a_record_cannot_be_encoded(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.sink.finished(flow(error=object()))
    proxy.sink.finished(flow("b"))
    assert proxy.sink.records_dropped == 1
    assert "Flow flow-1 cannot be recorded" in caplog.text
    assert proxy.received() == [(FINISHED, flow("b"))]
