"""HAR files and mitmproxy captures as flows: what was exported comes back, and broken files say
what is wrong.
"""

from __future__ import annotations

import base64
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy.io import FlowWriter
from mitmproxy.test import tflow

from flows.bodies.complete_flow import CompleteFlow, load_flow, load_flows
from flows.export.har import har_text
from flows.imports.capture_file import CaptureError
from flows.imports.har_reader import records_of_har
from flows.imports.importer import import_file, import_records, parsed_har
from flows.models import Flow, WebSocketMessage
from flows.queries.flow_set import rows_of
from flows.queries.selectors import sides_of
from flows.services import clear_ids
from tests.flows.seed import IDS, add_flow, add_side, seed_all

pytestmark = pytest.mark.django_db


def exported(*ids: str) -> bytes:
    return b"".join(har_text(rows_of(ids), load_flows(ids)))


def contents(flow: CompleteFlow) -> dict[str, Any]:
    """What a round trip keeps of the sides that were there."""
    return {
        name: (side.url, side.method, side.status_code, side.headers, flow.plain(side))
        for name, side in flow.sides.items()
    }


def round_trip(*ids: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    before = [contents(flow) for flow in load_flows(ids)]
    data = exported(*ids)
    clear_ids(ids)
    assert not Flow.objects.filter(pk__in=ids).exists()
    assert import_records(records_of_har(parsed_har(data)), decoded=True).new == len(ids)
    return before, [contents(flow) for flow in load_flows(ids)]


def test_what_was_exported_comes_back():
    seed_all()
    ids = [IDS[name] for name in ("anthropic", "redirect", "google")]
    before, after = round_trip(*ids)
    for old, new in zip(before, after, strict=True):
        assert {name: new[name] for name in old} == old
    flow = Flow.objects.get(pk=IDS["redirect"])
    assert (flow.source, flow.provider, flow.rule, flow.requested_model) == (
        "import", "local", "cheap-evenings", "claude-sonnet-4-5",
    )  # fmt: skip
    assert (flow.state, flow.status_code, flow.duration_ms) == ("done", 200, 1831.9)
    assert sides_of(IDS["anthropic"])["upstream"].chunk_times


def test_websocket_messages_come_back():
    seed_all()
    before = list(
        WebSocketMessage.objects.filter(flow=IDS["websocket"]).values_list(
            "body_digest", "from_client", "at_ms"
        )
    )
    round_trip(IDS["websocket"])
    after = list(
        WebSocketMessage.objects.filter(flow=IDS["websocket"]).values_list(
            "body_digest", "from_client", "at_ms"
        )
    )
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert [row[2] for row in after] == pytest.approx([row[2] for row in before], abs=1.0)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=50),
    answer=st.binary(max_size=50),
    headers=st.dictionaries(st.from_regex(r"x-[a-z]{1,5}", fullmatch=True), TEXT, max_size=3),
    path=TEXT,
)
def test_any_bytes_survive_a_round_trip(
    body: bytes, answer: bytes, headers: dict[str, str], path: str
):
    flow_id = "11111111-2222-4333-8444-555555555555"
    Flow.objects.filter(pk=flow_id).delete()
    flow = add_flow(flow_id, 1, status_code=200, path="/x")
    add_side(flow, "client", headers, body, method="POST", url=f"http://h/{path}")
    add_side(flow, "delivered", {"content-encoding": "zip", **headers}, answer, status_code=418)
    [before], [after] = round_trip(flow_id)
    assert after == before


def foreign() -> dict[str, Any]:
    """As Chrome writes it, with what others leave out."""
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "WebInspector", "version": "537.36"},
            "entries": [
                {
                    "startedDateTime": "2026-11-01T10:00:00.500+02:00",
                    "time": 120.5,
                    "request": {
                        "method": "POST",
                        "url": "https://api.openai.com/v1/chat/completions",
                        "headers": [
                            {"name": "Authorization", "value": "Bearer sk-canary-4711-4711-4711"},
                            {"name": "Cookie", "value": "sid=canary4711canary4711"},
                        ],
                        "postData": {
                            "mimeType": "application/json",
                            "text": '{"model": "gpt-5-mini"}',
                        },
                    },
                    "response": {
                        "status": 200,
                        "headers": [
                            {"name": "content-encoding", "value": "br"},
                            {"name": "x-a", "value": "b"},
                        ],
                        "content": {
                            "text": base64.b64encode(b"\xff\x00").decode(),
                            "encoding": "base64",
                        },
                    },
                    "timings": {
                        "blocked": -1,
                        "connect": 20,
                        "send": 0,
                        "wait": 80,
                        "receive": 20.5,
                    },
                },
                {
                    "request": {
                        "url": "https://example.com/form",
                        "postData": {"params": [{"name": "a", "value": "b c"}]},
                    }
                },
                "nonsense",
                {"response": {}},
            ],
        }
    }


def test_another_tools_file_is_taken_in_without_its_secrets(tmp_path: Path):
    path = tmp_path / "chrome.har"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(foreign()).encode())
    assert import_file(path).new == 2
    again = import_file(path)
    assert (again.new, again.known) == (0, 2)
    flow = Flow.objects.get(host="api.openai.com")
    assert (flow.requested_model, flow.client_format, flow.status_code) == (
        "gpt-5-mini",
        "openai_chat",
        200,
    )
    assert flow.started_at.isoformat() == "2026-11-01T08:00:00.500000+00:00"
    assert (flow.connect_ms, flow.first_byte_ms, flow.duration_ms) == (20, 100, 120.5)
    whole = load_flow(flow.pk)
    assert whole is not None
    assert whole.plain(whole.side("delivered")) == b"\xff\x00"
    assert "canary" not in json.dumps([side.headers for side in whole.sides.values()])
    form = Flow.objects.get(host="example.com")
    assert form.state == "error"
    assert load_flow(form.pk).plain(form.sides["client"]) == b"a=b+c"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"{",
        b'{"log": 5}',
        b'{"log": {"entries": {}}}',
        b"[" * 100_000,
        b"\x00",
        b"hello",
        b"\xff\xfe{",
    ],
)
def test_what_is_no_capture_is_refused(tmp_path: Path, data: bytes):
    (tmp_path / "x").write_bytes(data)
    try:
        found = import_file(tmp_path / "x")
    except CaptureError as exc:
        assert len(str(exc)) > 15
    else:
        assert found.new == 0
    with pytest.raises(CaptureError):
        import_file(tmp_path / "missing")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = [
    "startedDateTime",
    "time",
    "request",
    "response",
    "timings",
    "_webSocketMessages",
    "_ccproxy",
    "_resourceType",
    "method",
    "url",
    "headers",
    "postData",
    "status",
    "content",
    "bodySize",
    "_chunkTimes",
    "text",
    "encoding",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.sampled_from(NAMES), JUNK), max_size=5), ours=st.booleans())
def test_a_file_with_anything_in_any_field_is_read(places: list[tuple[str, Any]], ours: bool):
    har = foreign()
    entry = har["log"]["entries"][0]
    for name, value in places:
        for holder in (entry, entry.get("request"), entry.get("response")):
            if isinstance(holder, dict) and (name in holder or holder is entry):
                holder[name] = value
    if ours:
        har["log"]["creator"]["name"] = "ccproxy"
    import_records(records_of_har(har), decoded=True)


def test_a_mitmproxy_capture(tmp_path: Path):
    flows = [
        tflow.tflow(resp=True),
        tflow.twebsocketflow(),
        tflow.tflow(err=True),
        tflow.ttcpflow(),
    ]
    path = tmp_path / "x.mflow"
    with path.open("wb") as file:
        for flow in flows:
            FlowWriter(file).add(flow)
        file.write(b"9:damaged")
    out, err = StringIO(), StringIO()
    call_command("flows", "import", str(path), stdout=out, stderr=err)
    assert out.getvalue() == f"Imported 3 flows from {path}.\n"
    assert "cannot be read further" in err.getvalue()
    done = Flow.objects.get(pk=flows[0].id)
    assert (done.source, done.state, done.method, done.host, done.status_code) == (
        "import",
        "done",
        "GET",
        "address",
        200,
    )
    whole = load_flow(done.pk)
    assert whole is not None
    assert [whole.plain(side) for side in whole.sides.values()] == [
        b"content",
        b"content",
        b"message",
        b"message",
    ]
    assert WebSocketMessage.objects.filter(flow=flows[1].id).count() == 3
    assert Flow.objects.get(pk=flows[2].id).error
