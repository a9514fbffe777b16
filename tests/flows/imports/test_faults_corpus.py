"""Reported HAR and mitmproxy files of other tools: each is read as its table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.bodies.complete_flow import CompleteFlow, load_flows
from flows.imports.importer import import_file
from flows.models import Flow

pytestmark = [pytest.mark.django_db, pytest.mark.corpus]
MULTIPART = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
STARTS = {"b02_05": 1768315271.0, "b02_07": 1768318871.497, "b02_08": 1768318871.497}


def flows_of(corpus: Path, name: str) -> list[CompleteFlow]:
    path = corpus / "faults" / "visible" / name
    if not path.exists():
        pytest.skip(f"the corpus has no {name}")
    result = import_file(path)
    assert (result.skipped, result.problem) == (0, "")
    ids = Flow.objects.order_by("started_at").values_list("pk", flat=True)
    return list(load_flows(list(ids)))


@pytest.mark.parametrize(
    ("name", "side", "start"),
    [
        ("b01b", "upstream", b"abcd efgh ijkl mnop"),
        ("b01f", "upstream", b'{"id": "msg_1"'),
        ("b01h", "upstream", b'{"id": "msg_1"'),
        ("b04b", "client", b"a=1+2&b=%C3%A4%26%3D"),
        ("b04c", "client", MULTIPART),
        ("b08b", "upstream", b'{"id": "msg_1"'),
        ("b08d", "upstream", b'{"id": "msg_1"'),
        ("b10a", "upstream", b"event: message_start\ndata: "),
    ],
)
def test_bodies(corpus: Path, name: str, side: str, start: bytes) -> None:
    [flow] = flows_of(corpus, f"{name}.har")
    assert flow.plain(flow.side(side)).startswith(start)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("b03c", {"state": "error", "error": "net::ERR_ABORTED"}),
        ("b06b", {"is_websocket": True, "input_tokens": 5, "output_tokens": 2}),
        ("b06c", {"is_websocket": True, "input_tokens": 5, "output_tokens": 2}),
        ("b10a", {"is_stream": True, "event_count": 1}),
        ("b10m", {"is_stream": True, "event_count": 6}),
        ("b10s0", {"is_stream": True, "event_count": 6, "output_tokens": 7}),
        ("b10s3", {"is_stream": True, "event_count": 6}),
    ],
)
def test_facts(corpus: Path, name: str, facts: dict[str, Any]) -> None:
    [flow] = flows_of(corpus, f"{name}.har")
    assert {column: getattr(flow.flow, column) for column in facts} == facts
    assert len(flow.messages) == (3 if name.startswith("b06") else 0)


@pytest.mark.parametrize("name", STARTS)
def test_times(corpus: Path, name: str) -> None:
    [flow] = flows_of(corpus, f"{name}.har")
    assert flow.flow.started_at.timestamp() == pytest.approx(STARTS[name], abs=1e-3)


def test_streams_of_mitmproxy(corpus: Path) -> None:
    flows = flows_of(corpus, "m_sse.mflow")
    assert {flow.flow.is_stream for flow in flows} == {True}
    found = [(flow.flow.event_count, flow.stored(flow.sides["upstream"])) for flow in flows]
    # One of them was not kept by mitmproxy, which the flow says.
    assert sorted(count for count, _ in found) == [0, 2, 2]
    assert [body for count, body in found if not count] == [None]
