"""A record made before sides and steps became texts is converted, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor

import flows.migrations
from flows.models import BodyRef, Flow, FlowBody
from flows.queries.filters import FlowFilter
from flows.queries.selectors import facets, sides_of, traces_of
from flows.services import clear_flows
from flows.sides import FlowSide, HookTrace
from flows.writer.retention import sweep_chunk

pytestmark = pytest.mark.django_db(transaction=True)
# Tests after these need the tables of today.
NEWEST = max(path.stem for path in Path(flows.migrations.__file__).parent.glob("[0-9]*.py"))
FIRST = "0001_initial"
COUNT = 90
ALL = COUNT + 20
"""With those that a proxy of before still writes."""
BATCH_FLOWS = 40
"""Three batches of the flows above; to look at thousands would only take longer."""
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
converting = import_module("flows.migrations.0003_convert_parts")


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "BATCH_FLOWS", BATCH_FLOWS)


def migrate(name: str) -> Any:
    """Bring the tables of flows to a migration; the models as they are then."""
    return MigrationExecutor(connection).migrate([("flows", name)]).apps


@pytest.fixture
def old() -> Iterator[Any]:
    """The models of a database as it was before; afterwards it is as it is now, and empty."""
    yield migrate(FIRST)
    migrate(NEWEST)
    clear_flows(Flow.objects.all(), keep_pinned=False)


def side_fields(number: int, name: str) -> dict[str, Any]:
    answers = name in ("upstream", "delivered")
    return {
        "side": name,
        "http_version": "HTTP/2.0",
        "method": "" if answers else "POST",
        "url": "" if answers else f"https://h/{number}?key=‹redacted 3f9a21›",
        "status_code": 200 if answers else None,
        "reason": "OK" if answers else "",
        "headers": [
            ["x-number", f"n{number}"],
            ["x-name", 'grün, "quoted" \\ \U0001f600'],
            ["cookie", "\\x00"],
        ],
        "trailers": [["grpc-status", "0"]] if answers else [],
        "body_digest": digest(number, answers=answers),
        "body_size_bytes": 0 if number % 7 == 0 else 5,
        "body_truncated": number % 5 == 0,
        "body_redacted": number % 3 == 0,
        "body_decoded": number % 4 == 0,
        "chunk_times": [[0, 1.5], [1024, 20.0]] if answers else [],
    }


def step_fields(number: int, seq: int) -> dict[str, Any]:
    return {
        "seq": seq,
        "stage": ("inbound", "outbound")[seq],
        "hook": ("inject_auth", 'my."hook"')[seq],
        "outcome": "ran" if seq == 0 or number % 2 else "skipped",
        "reason": "" if seq == 0 else "why ü",
        "prepare_ms": 0.25 * seq,
        "apply_ms": 1.0,
        "changed": ["header:x", "body"] if seq == 0 else [],
        "headers_before": side_fields(number, "client")["headers"] if seq == 0 else None,
        "headers_after": [] if seq == 0 else None,
        "url_before": "/a" if seq else "",
        "url_after": "/b" if seq else "",
        "body_before": digest(number, answers=False) if seq == 0 else "",
        "body_after": f"after{number}" if seq == 0 else "",
    }


def digest(number: int, *, answers: bool) -> str:
    return "" if number % 7 == 0 else "answer" if answers else f"request{number}"


def sides_of_old(number: int) -> tuple[str, ...]:
    """Written in an order of their own; some flows have none."""
    return (
        ()
        if number % 10 == 0
        else ("delivered", "client", "forwarded", "upstream")[: 1 + number % 4]
    )


def add_old_flows(apps: Any, numbers: range) -> None:
    model = {
        name: apps.get_model("flows", name)
        for name in ("Flow", "FlowSide", "HookTrace", "FlowBody")
    }
    digests = {"answer"} | {
        name for n in numbers for name in (digest(n, answers=False), f"after{n}")
    } - {""}
    bodies = [
        model["FlowBody"](digest=name, encoding="raw", size_bytes=1, blob=b"x")
        for name in sorted(digests)
    ]
    model["FlowBody"].objects.bulk_create(bodies, ignore_conflicts=True)
    flows, sides, steps = [], [], []
    for number in numbers:
        flow = model["Flow"](
            id=f"flow-{number:04}",
            state="done",
            started_at=SINCE + timedelta(seconds=number),
            path="/",
            hooks_changed=["inject_auth"],
        )
        flows.append(flow)
        for name in sides_of_old(number):
            sides.append(model["FlowSide"](flow=flow, **side_fields(number, name)))
        for seq in (1, 0) if number % 10 != 1 else ():
            steps.append(model["HookTrace"](flow=flow, **step_fields(number, seq)))
    model["Flow"].objects.bulk_create(flows)
    model["FlowSide"].objects.bulk_create(sides)
    model["HookTrace"].objects.bulk_create(steps)


def check(numbers: range) -> None:
    for number in numbers:
        flow_id, names = f"flow-{number:04}", sides_of_old(number)
        expected = [
            name for name in ("client", "forwarded", "upstream", "delivered") if name in names
        ]
        sides, traces = sides_of(flow_id), traces_of(flow_id)
        assert list(sides) == expected
        assert list(sides.values()) == [FlowSide(**side_fields(number, name)) for name in expected]
        steps = (0, 1) if number % 10 != 1 else ()
        assert traces == [HookTrace(**step_fields(number, seq)) for seq in steps]
        needed = {side.body_digest for side in sides.values()} | {t.body_before for t in traces}
        needed |= {trace.body_after for trace in traces}
        assert set(
            BodyRef.objects.filter(flow=flow_id).values_list("digest", flat=True)
        ) == needed - {""}


def found(**query: str) -> list[str]:
    flows = FlowFilter(query, queryset=Flow.objects.all()).qs
    return list(flows.order_by("started_at").values_list("pk", flat=True))


def test_the_way_from_the_first_tables_to_those_of_today(
    old: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One way for all questions: each of its migrations takes a tenth of a second and more."""
    add_old_flows(old, range(COUNT))
    interrupt_the_conversion(monkeypatch)
    assert old.get_model("flows", "FlowSide").objects.exists(), (
        "nothing is dropped before all is converted"
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM flows_flowparts")
        assert cursor.fetchone()[0] == BATCH_FLOWS, "a batch is converted whole or not at all"
    # The tables of before are there until the next migration, and so may be a proxy that uses them.
    add_old_flows(migrate("0003_convert_parts"), range(COUNT, ALL))
    migrate(NEWEST)
    check(range(ALL))
    check_searches()
    check_what_is_swept()
    with pytest.raises(IrreversibleError):
        migrate(FIRST)
    add_imported_and_recorded(migrate("0005_help_texts"))
    migrate(NEWEST)
    check(range(ALL))
    ages = dict(Flow.objects.values_list("pk", "imported_at"))
    # Flows imported before their age was kept count from the upgrade.
    assert ages["old-record"] is None
    assert ages["old-import"] is not None and ages["old-import"] > SINCE


def interrupt_the_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt it before its second batch is complete."""
    convert, calls = converting._convert, []

    def failing(apps: Any, alias: str, ids: list[str]) -> None:
        convert(apps, alias, ids)
        calls.append(len(ids))
        if len(calls) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(converting, "_convert", failing)
        migrate(NEWEST)


def check_searches() -> None:
    assert found(header="x-number: n73") == ["flow-0073"]
    assert found(header='x-name: grün, "QUOTED" \\ \U0001f600', q="flow-0073") == []
    assert len(found(header='x-name: grün, "QUOTED" \\ \U0001f600')) == ALL * 9 // 10
    assert found(hook_ran='my."hook"')[:4] == ["flow-0003", "flow-0005", "flow-0007", "flow-0009"]
    assert facets().ran == ["inject_auth", 'my."hook"']


def check_what_is_swept() -> None:
    sweep_chunk("", 10_000)
    needed = set(BodyRef.objects.values_list("digest", flat=True))
    assert set(FlowBody.objects.values_list("pk", flat=True)) == needed, (
        "what a flow needs is not swept"
    )


def add_imported_and_recorded(apps: Any) -> None:
    flow_of_then = apps.get_model("flows", "Flow")
    for name, source in (("old-import", "import"), ("old-record", "reverse")):
        flow_of_then.objects.create(
            id=name, source=source, started_at=SINCE, method="GET", path="/"
        )
