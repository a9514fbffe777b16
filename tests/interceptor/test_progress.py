"""Running streams are handed over in turn, however many there are."""

from __future__ import annotations

from mitmproxy.test import tflow

from interceptor.addons.record import PROGRESS_AT_ONCE, RecordAddon
from interceptor.config.schema import Snapshot
from interceptor.state import METADATA_KEY, FlowState
from interceptor.stream import StreamTee
from tests.interceptor.proxied import ListSink


def test_each_of_many_streams_has_its_turn() -> None:
    sink = ListSink()
    addon = RecordAddon(sink)
    ids = []
    for _ in range(2 * PROGRESS_AT_ONCE + 3):
        flow = tflow.tflow(resp=True)
        state = flow.metadata[METADATA_KEY] = FlowState(snapshot=Snapshot(), flow_id=flow.id)
        state.tee = StreamTee(flow.id, state.ms, sink.delta)
        state.tee(b"data: {}\n\n")
        addon._active[flow.id] = flow, state
        ids.append(flow.id)
    for _ in range(3):
        addon._hand_over_running()
    seen = [record.id for record in sink.live]
    assert len(seen) == 3 * PROGRESS_AT_ONCE
    assert seen[: len(ids)] == ids, "the one handed over longest ago comes first"


def test_a_stream_without_bytes_waits() -> None:
    sink = ListSink()
    addon = RecordAddon(sink)
    flow = tflow.tflow()
    addon._active[flow.id] = flow, FlowState(snapshot=Snapshot(), flow_id=flow.id)
    addon._hand_over_running()
    assert sink.live == []
