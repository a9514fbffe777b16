"""Round trip of flows as lines of JSON: an import elsewhere gives the same flows."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from flows.bodies.complete_flow import load_flows
from flows.export.flow_lines import COLUMNS, RECORD_FIELDS, flow_lines
from flows.imports.capture_file import CaptureError
from flows.imports.flow_line_reader import records_of_lines
from flows.imports.importer import import_file
from flows.models import Flow, FlowParts
from flows.record import AttemptRecord, HookStep
from flows.redaction.redactor import Redactor
from flows.services import clear_everything
from flows.writer.batch import write_batch
from flows.writer.rows.row_builder import RowBuilder
from providers.auth.registry import SecretRegistry
from tests.flows.records import flow, side
from tests.flows.seed import IDS, seed_all
from tests.flows.seed_session import seed_session

pytestmark = pytest.mark.django_db
CHANGED = {"source", "state", "error", "id"}
"""Columns that an import may write otherwise: it says so, and nothing imported runs."""


def everything() -> dict[str, Any]:
    """All flows with sides, plain bodies, hooks, attempts and messages."""
    ids = list(Flow.objects.values_list("pk", flat=True))
    found = {}
    for complete in load_flows(ids, steps=True):
        row = complete.flow
        parts: FlowParts = getattr(row, "parts", None) or FlowParts()
        values = {name: getattr(row, name) for name in (*RECORD_FIELDS, *COLUMNS)}
        values["times"] = (row.started_at, row.finished_at)
        for name, one in complete.sides.items():
            kept = asdict(one) | {"body": complete.plain(one)}
            for derived in ("body_digest", "body_decoded", "body_redacted"):
                kept.pop(derived)
            values[name] = kept
        values["hooks"] = [asdict(trace) for trace in parts.traces()]
        values["attempts"] = parts.attempts()
        values["messages"] = [
            (one.seq, one.at_ms, one.from_client, one.is_text, complete.bodies[one.body_digest])
            for one in complete.messages
        ]
        found[row.pk] = values
    return found


def exported(ids: list[str] | None = None) -> bytes:
    chosen = ids or list(Flow.objects.order_by("started_at").values_list("pk", flat=True))
    return b"".join(flow_lines(load_flows(chosen, steps=True)))


def recorded_flow() -> None:
    """A flow through the recorder: gzip, a hook that changed header and body, two attempts."""
    import gzip

    body = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'
    step = HookStep(
        "inbound",
        "thinking",
        "ran",
        changed=("header:x-a", "body"),
        headers_before=(("x-a", "1"),),
        headers_after=(("x-a", "2"),),
        body_before=body,
        body_after=body.replace(b"hi", b"ho"),
        apply_ms=0.5,
    )
    record = flow("5f2d3b1e-8f6b-4d8e-9d56-4c6f2a1b7e91", conversation_id="c1", run_label="r")
    answer = side("delivered", gzip.compress(b'{"a": "\xff"}'), status_code=200)
    record = replace(
        record,
        sides=(
            side("client", body, method="POST", url="http://127.0.0.1:4000/v1/messages"),
            replace(answer, headers=(("content-encoding", "gzip"), ("authorization", "Bearer x"))),
        ),
        hooks=(step,),
        attempts=(
            AttemptRecord(1, "", 0.0, 5.0, 529, "h"),
            AttemptRecord(2, "529", 9.0, 5.0, 200, "h"),
        ),
    )
    write_batch([RowBuilder(Redactor(SecretRegistry())).build(record)])


def test_an_import_gives_the_same_flows(tmp_path: Path) -> None:
    seed_all()
    seed_session()
    recorded_flow()
    before = everything()
    data = exported()
    clear_everything(keep_pinned=False)
    file = tmp_path / "session.jsonl"
    file.write_bytes(data)
    imported = import_file(file)
    assert (imported.new, imported.skipped, imported.problem) == (len(before), 0, "")
    after = everything()
    assert after.keys() == before.keys()
    for flow_id, values in before.items():
        again = after[flow_id]
        differing = {n for n in values if values[n] != again.get(n)} - CHANGED
        assert not differing, {n: (values[n], again.get(n)) for n in differing}
    assert import_file(file).known == len(before)
    running = Flow.objects.get(pk=IDS["live"])
    assert (running.state, running.source) == ("error", "import")


def test_a_body_stands_once() -> None:
    seed_session()
    lines = [json.loads(line) for line in exported().splitlines()]
    names = [line["body"] for line in lines if "body" in line]
    assert len(names) == len(set(names))
    assert lines[0] == {"ccproxy": "flows", "version": 1}


def test_headers_are_redacted_once_more() -> None:
    recorded_flow()
    assert b"Bearer x" not in exported()


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"nonsense",
        b'{"ccproxy": "flows", "version": 2}',
    ],
)
def test_a_damaged_file_says_so(line: bytes) -> None:
    with pytest.raises(CaptureError):
        list(records_of_lines(b'{"ccproxy":"flows","version":1}\n' + line))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"flow": 1},
        {"flow": {"id": "x", "started_at": 1}},
        {"flow": {"id": "x", "started_at": "1"}, "sides": [{"side": "client"}]},
        {"flow": {"id": "x", "started_at": 1}, "sides": [{"side": "other"}, 5]},
    ],
)
def test_a_line_without_a_flow_is_left_out(values: Any) -> None:
    assert list(records_of_lines(json.dumps(values).encode())) == [None]


def test_wrong_types_get_defaults() -> None:
    odd: dict[str, Any] = {name: {"x": []} for name in (*RECORD_FIELDS, *COLUMNS)}
    line = {
        "flow": {**odd, "started_at": 5},
        "sides": [{"side": "client", "headers": [1, ["a"], ["b", 2]], "chunk_times": [[1]]}],
        "hooks": [5, {"outcome": 7, "origins": [[1, 2]]}],
        "attempts": [None],
        "messages": ["x"],
    }
    [captured] = records_of_lines(json.dumps(line).encode())
    assert captured is not None
    assert captured.record.sides[0].headers == (("b", ""),)
    assert captured.record.state == "error"
    assert captured.columns["cost_usd"] is None
